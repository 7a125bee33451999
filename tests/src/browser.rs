//! Chromium without a window, driven by its own protocol over a pipe: no port, no driver program, no network.
//!
//! The protocol is JSON objects that end in a NUL (<https://chromedevtools.github.io/devtools-protocol/>). All errors
//! and network requests of the page are kept for the test.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Instant;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::{Skip, clock, process, require};

const OPTIONS: &[&str] = &[
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--remote-debugging-pipe",
];

/// A browser with one page, ended on drop.
#[derive(Debug)]
pub struct Browser {
    child: Child,
    commands: ChildStdin,
    messages: Receiver<Value>,
    calls: u64,
    session: Option<String>,
    problems: Vec<String>,
    requests: Vec<String>,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Starts a browser with an empty page of this size.
    ///
    /// # Errors
    /// The skip, where there is no Chromium.
    ///
    /// # Panics
    /// If there is one that does not start.
    pub fn start(width: u32, height: u32) -> Result<Self, Skip> {
        let program = require::program("chromium")?;
        let profile = tempfile::TempDir::new().expect("the temporary folder can be written");
        // The protocol uses descriptors 3 and 4. Other output of the browser is ignored.
        let mut command = Command::new("sh");
        command.args(["-c", "exec \"$@\" 3<&0 4>&1 0</dev/null 1>&2", "sh"]).arg(program).args(OPTIONS);
        command.arg(format!("--window-size={width},{height}"));
        command.arg(format!("--user-data-dir={}", profile.path().display())).arg("about:blank");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("sh can be started");
        let commands = child.stdin.take().expect("stdin is a pipe");
        let stdout = BufReader::new(child.stdout.take().expect("stdout is a pipe"));
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            for message in stdout.split(0).map_while(Result::ok) {
                let Ok(message) = serde_json::from_slice(&message) else { continue };
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        let mut browser = Self {
            child,
            commands,
            messages,
            calls: 0,
            session: None,
            problems: Vec::new(),
            requests: Vec::new(),
            _profile: profile,
        };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"}));
        let attached = browser.call("Target.attachToTarget", json!({"targetId": target["targetId"], "flatten": true}));
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        Ok(browser)
    }

    /// Opens a file and waits until this is true in it.
    ///
    /// # Panics
    /// If it does not become true in time.
    pub fn open(&mut self, file: &Path, ready: &str) {
        self.call("Page.navigate", json!({"url": format!("file://{}", file.display())}));
        self.wait_for(ready);
    }

    /// The value of an expression in the page.
    ///
    /// # Panics
    /// If it throws.
    pub fn eval(&mut self, expression: &str) -> Value {
        let arguments = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let result = self.call("Runtime.evaluate", arguments);
        assert!(result.get("exceptionDetails").is_none(), "{expression}: {result}");
        result.pointer("/result/value").cloned().unwrap_or(Value::Null)
    }

    /// The text of the first element that a selector finds.
    ///
    /// # Panics
    /// If it finds none.
    pub fn text(&mut self, selector: &str) -> String {
        let text = self.eval(&format!("document.querySelector({})?.textContent", json!(selector)));
        text.as_str().unwrap_or_else(|| panic!("nothing is {selector}")).to_owned()
    }

    /// Waits until an expression is true in the page.
    ///
    /// # Panics
    /// If it does not become true in time.
    pub fn wait_for(&mut self, expression: &str) {
        let true_in_time = process::eventually(3 * clock::deadline(), || {
            self.eval(&format!("Boolean({expression})")) == Value::Bool(true)
        });
        assert!(true_in_time, "never true: {expression}; problems: {:?}", self.problems);
    }

    /// Emulates a user's preference for dark mode.
    pub fn prefer_dark(&mut self) {
        let features = json!([{"name": "prefers-color-scheme", "value": "dark"}]);
        self.call("Emulation.setEmulatedMedia", json!({"features": features}));
    }

    /// Errors and warnings of the page so far.
    pub fn problems(&mut self) -> &[String] {
        // The answer to this comes after all earlier messages.
        self.eval("1");
        &self.problems
    }

    /// What the page has requested so far, including itself.
    pub fn requests(&mut self) -> &[String] {
        self.eval("1");
        &self.requests
    }

    /// Takes a screenshot for people, if `ZT_SCREENSHOTS` names a folder.
    ///
    /// # Panics
    /// If the folder cannot be written.
    pub fn screenshot(&mut self, name: &str) {
        let Some(folder) = std::env::var_os("ZT_SCREENSHOTS") else { return };
        let result = self.call("Page.captureScreenshot", json!({"format": "png"}));
        let picture = STANDARD
            .decode(result["data"].as_str().unwrap_or_default())
            .expect("the protocol's pictures are in base64");
        std::fs::write(PathBuf::from(folder).join(format!("{name}.png")), picture).expect("the folder can be written");
    }

    /// Presses a key in the focused element: its name in the page's events, and the text that it types, if any.
    pub fn press(&mut self, key: &str, text: &str) {
        self.call("Input.dispatchKeyEvent", json!({"type": "keyDown", "key": key, "text": text}));
        self.call("Input.dispatchKeyEvent", json!({"type": "keyUp", "key": key}));
    }

    /// Moves the pointer.
    pub fn point_at(&mut self, x: f64, y: f64) {
        self.call("Input.dispatchMouseEvent", json!({"type": "mouseMoved", "x": x, "y": y}));
    }

    fn call(&mut self, method: &str, arguments: Value) -> Value {
        self.calls += 1;
        let mut command = json!({"id": self.calls, "method": method, "params": arguments});
        if let Some(session) = &self.session {
            command["sessionId"] = json!(session);
        }
        write!(self.commands, "{command}\0").unwrap_or_else(|error| panic!("{method}: {error}"));
        let end = Instant::now() + 3 * clock::deadline();
        loop {
            let message = match self.messages.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(message) => message,
                Err(RecvTimeoutError::Timeout) => panic!("{method}: the browser does not answer"),
                Err(RecvTimeoutError::Disconnected) => panic!("{method}: the browser is gone"),
            };
            if message["id"] == json!(self.calls) {
                assert!(message.get("error").is_none(), "{method}: {message}");
                return message["result"].clone();
            }
            self.note(&message);
        }
    }

    fn note(&mut self, message: &Value) {
        let parameters = &message["params"];
        match message["method"].as_str() {
            Some("Runtime.exceptionThrown") => self.problems.push(parameters.to_string()),
            Some("Runtime.consoleAPICalled")
                if ["error", "warning", "assert"].iter().any(|it| parameters["type"] == *it) =>
            {
                self.problems.push(parameters.to_string());
            }
            Some("Log.entryAdded") if ["error", "warning"].iter().any(|it| parameters["entry"]["level"] == *it) => {
                self.problems.push(parameters.to_string());
            }
            Some("Network.requestWillBeSent") => {
                self.requests.push(parameters["request"]["url"].as_str().unwrap_or_default().to_owned());
            }
            _ => {}
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.session = None;
        let _ = write!(self.commands, "{{\"id\":{},\"method\":\"Browser.close\"}}\0", self.calls + 1);
        let child = &mut self.child;
        if !process::eventually(clock::deadline(), || !matches!(child.try_wait(), Ok(None))) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
