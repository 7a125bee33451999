//! `report --format html` in a browser.

use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;
use zombie_trace_tests::runner::Test;
use zombie_trace_tests::{Actor, Browser, TestResult, Tracer, clock, require, tests};

use super::{made_up, report};

pub(super) fn all() -> Vec<Test> {
    tests![
        a_recording_of_real_zombies_shows_what_the_report_says,
        hostile_names_stay_text,
        the_filters_leave_what_matches,
        the_theme_follows_the_system_until_it_is_chosen,
        a_hundred_thousand_zombies_are_shown_and_filtered,
        an_empty_report_is_a_page_too,
        reports_of_several_hosts_are_on_one_page,
    ]
}

const READY: &str = "document.documentElement?.dataset.ready";
const FEW: made_up::Story = made_up::Story { parents: 8, zombies: 200, left_every: 10, every_ns: 100_000_000 };
const MANY: made_up::Story = made_up::Story { parents: 400, zombies: 100_000, left_every: 50, every_ns: 10_000_000 };

/// A page of a recording, open in a browser.
struct Page {
    browser: Browser,
    file: std::path::PathBuf,
    _folder: TempDir,
}

impl Page {
    fn of(story: made_up::Story) -> Result<Self, zombie_trace_tests::Skip> {
        let browser = Browser::start(1280, 900)?;
        let folder = TempDir::new().expect("room for a folder");
        let recording = story.record(folder.path());
        Ok(Self::open(browser, &[&recording], folder, &[]))
    }

    fn open(mut browser: Browser, recordings: &[&Path], folder: TempDir, arguments: &[&str]) -> Self {
        let file = folder.path().join("report.html");
        let others: Vec<&str> = recordings[1..].iter().map(|it| it.to_str().expect("a plain name")).collect();
        report(recordings[0], "html", &[arguments, &others].concat(), &file);
        browser.open(&file, READY);
        Self { browser, file, _folder: folder }
    }

    /// The figure above this name.
    #[track_caller]
    fn number(&mut self, name: &str) -> String {
        let expression = format!(
            "[...document.querySelectorAll('#numbers > div')].find(it => it.querySelector('dt').textContent === {})?.querySelector('dd').textContent",
            json!(name)
        );
        let number = self.browser.eval(&expression);
        number.as_str().unwrap_or_else(|| panic!("there is no number of {name}")).to_owned()
    }

    /// Writes into a field of the filters and waits for the selection to say this.
    #[track_caller]
    fn filter(&mut self, field: &str, value: &str, selected: &str) {
        let (field, value) = (json!(format!("#filter-{field}")), json!(value));
        self.browser.eval(&format!(
            "(() => {{ const it = document.querySelector({field}); it.value = {value}; it.dispatchEvent(new Event('input', {{bubbles: true}})); }})()"
        ));
        self.browser.wait_for(&format!("document.querySelector('#selected').textContent === {}", json!(selected)));
    }

    fn clear(&mut self, selected: &str) {
        self.browser.eval("document.querySelector('#filters button[type=reset]').click()");
        self.browser.wait_for(&format!("document.querySelector('#selected').textContent === {}", json!(selected)));
    }

    /// Asserts that the page has no complaints and asked for nothing but itself.
    #[track_caller]
    fn is_well(&mut self) {
        assert_eq!(self.browser.problems(), [""; 0]);
        let itself = format!("file://{}", self.file.display());
        assert_eq!(self.browser.requests(), [itself]);
    }
}

fn a_recording_of_real_zombies_shows_what_the_report_says() -> TestResult {
    require::tracing()?;
    let browser = Browser::start(1280, 900)?;
    let folder = TempDir::new().expect("room for a folder");
    let recording = folder.path().join("trace.zt");
    let tracer = Tracer::live(["--min-age", "200ms", "--record", &recording.to_string_lossy()]).start();
    let mut hostile = Actor::spawn(["hostile-name"]);
    let parent = hostile.line("parent").pid();
    hostile.line("ready");
    tracer.expect_each("the zombies", 8, clock::deadline(), |event| {
        event.is("zombie") && event.pid_of("parent") == Some(parent)
    });
    hostile.end();
    let finished = tracer.stop();
    let mut page = Page::open(browser, &[&recording], folder, &["--min-age", "200ms"]);
    for (name, pointer) in [("exits", "/totals/exits"), ("zombies", "/totals/zombies"), ("reaped", "/totals/reaped")] {
        let shown: i64 = page.number(name).replace(',', "").parse().expect("a number");
        assert_eq!(Some(shown), finished.summary.number(pointer), "{name}");
    }
    assert_eq!(page.number("events lost").replace(',', ""), finished.lost().to_string());
    let parents = finished.list("/parents").count();
    assert_eq!(page.browser.eval("document.querySelectorAll('#parents tr[id]').length"), json!(parents));
    // On a quiet machine there are no others.
    let all = page.browser.text("#selected");
    let selected = if all == "8 zombies" { all } else { format!("8 of {all}") };
    page.filter("text", &format!("({parent})"), &selected);
    assert_eq!(page.browser.eval("document.querySelectorAll('#zombies tbody tr').length"), json!(8));
    // One of the names, as it is shown everywhere: escaped for terminals, and here as text.
    assert!(page.browser.text("#zombies tbody").contains("<b>&\"'</b>"));
    page.browser.screenshot("real");
    page.is_well();
    Ok(())
}

fn hostile_names_stay_text() -> TestResult {
    let mut page = Page::of(FEW)?;
    let text = page.browser.text("#parents");
    for name in made_up::NAMES {
        assert!(text.contains(name), "{name} is not among the parents: {text}");
    }
    assert!(text.contains("onerror=") && text.contains("\\u{2028}&lt;"), "{text}");
    assert!(page.browser.text("#subject").contains("<b>made-up</b>"));
    let made = page.browser.eval("document.querySelectorAll('img, main script, b, iframe').length");
    assert_eq!(made, json!(0));
    let title = page.browser.eval("document.title");
    assert!(title.as_str().is_some_and(|title| title.contains("made-up") && !title.contains("obeyed")), "{title}");
    page.is_well();
    Ok(())
}

fn the_filters_leave_what_matches() -> TestResult {
    let mut page = Page::of(FEW)?;
    assert_eq!(page.browser.text("#selected"), "200 zombies");
    assert_eq!(page.number("still there at the end"), FEW.left().to_string());
    // Every fourth parent, and the zombies go round.
    page.filter("text", "WORKER", "50 of 200 zombies");
    assert_eq!(page.browser.eval("document.querySelectorAll('#timeline .row-label').length"), json!(2));
    page.filter("text", "nobody has this name", "0 of 200 zombies");
    assert_eq!(page.browser.text("#zombies"), "None is selected.");
    page.clear("200 zombies");
    let containers = page.browser.eval("document.querySelector('#filter-container').options.length");
    assert_eq!(containers, json!(4), "all, and three containers");
    let in_first = page.browser.eval("document.querySelector('#filter-container').options[1].value");
    // Parents 0, 3 and 6 of eight are in the first container, and each has every eighth zombie.
    page.filter("container", in_first.as_str().expect("a value"), "75 of 200 zombies");
    page.clear("200 zombies");
    let (cause, with_cause) = cause_with_its_count(&mut page.browser);
    page.filter("cause", &cause, &selection(with_cause, 200));
    page.clear("200 zombies");
    page.filter("age", "5 fortnights", "200 zombies");
    page.browser.wait_for("document.querySelector('#filter-age-error').textContent !== ''");
    page.filter("age", "60m", "0 of 200 zombies");
    assert_eq!(page.browser.text("#filter-age-error"), "");
    page.is_well();
    Ok(())
}

fn selection(count: u64, all: u64) -> String {
    if count == all { format!("{all} zombies") } else { format!("{count} of {all} zombies") }
}

/// The first cause that is offered, and the number beside it.
fn cause_with_its_count(browser: &mut Browser) -> (String, u64) {
    let option = "document.querySelector('#filter-cause').options[1]";
    let cause = browser.eval(&format!("{option}.value"));
    let text = browser.eval(&format!("{option}.textContent"));
    let count = text.as_str().and_then(|text| text.split_once('(')?.1.strip_suffix(')')?.replace(',', "").parse().ok());
    (cause.as_str().expect("a value").to_owned(), count.unwrap_or_else(|| panic!("no count in {text}")))
}

fn the_theme_follows_the_system_until_it_is_chosen() -> TestResult {
    let mut page = Page::of(FEW)?;
    let background = "getComputedStyle(document.body).backgroundColor";
    let light = page.browser.eval(background);
    page.browser.screenshot("light");
    page.browser.prefer_dark();
    page.browser.wait_for(&format!("{background} !== {light}"));
    let dark = page.browser.eval(background);
    page.browser.screenshot("dark");
    let click = "document.querySelector('#theme').click()";
    page.browser.eval(click);
    assert_eq!((page.browser.text("#theme"), page.browser.eval(background)), ("Theme: dark".to_owned(), dark.clone()));
    page.browser.eval(click);
    assert_eq!((page.browser.text("#theme"), page.browser.eval(background)), ("Theme: light".to_owned(), light));
    page.browser.eval(click);
    assert_eq!((page.browser.text("#theme"), page.browser.eval(background)), ("Theme: auto".to_owned(), dark));
    page.is_well();
    Ok(())
}

fn a_hundred_thousand_zombies_are_shown_and_filtered() -> TestResult {
    let mut page = Page::of(MANY)?;
    let length = std::fs::metadata(&page.file).expect("it was written").len();
    // 100,000 zombies in an uncompressed table would be tens of MB.
    assert!(length < 6 << 20, "{length} bytes");
    assert_eq!(page.browser.text("#selected"), "100,000 zombies");
    assert_eq!(page.number("still there at the end").replace(',', ""), MANY.left().to_string());
    let painted = |browser: &mut Browser| browser.eval("document.querySelector('.row-canvas canvas').toDataURL()");
    let whole = painted(&mut page.browser);
    page.browser.screenshot("many");
    page.filter("text", "worker", "25,000 of 100,000 zombies");
    assert_ne!(painted(&mut page.browser), whole, "other zombies are drawn alike");
    page.browser.screenshot("many-filtered");
    page.clear("100,000 zombies");
    // By keyboard alone, and what is drawn changes with it.
    page.browser.eval("document.querySelector('.row-scroller').focus()");
    for _ in 0..6 {
        page.browser.press("+", "+");
    }
    let before = whole.clone();
    let changed = zombie_trace_tests::process::eventually(clock::deadline(), || painted(&mut page.browser) != before);
    assert!(changed, "zooming in changed nothing");
    page.browser.screenshot("many-zoomed");
    page.browser.press("Home", "");
    let back = zombie_trace_tests::process::eventually(clock::deadline(), || painted(&mut page.browser) == whole);
    assert!(back, "Home does not lead back to the whole window");
    page.is_well();
    Ok(())
}

fn an_empty_report_is_a_page_too() -> TestResult {
    let nothing = made_up::Story { parents: 1, zombies: 0, left_every: 1, every_ns: 1 };
    let mut page = Page::of(nothing)?;
    assert_eq!(page.browser.text("#verdict"), "Nothing found");
    assert_eq!(page.number("zombies"), "0");
    assert_eq!(page.browser.text("#zombies"), "There are none.");
    page.browser.screenshot("empty");
    page.is_well();
    Ok(())
}

fn reports_of_several_hosts_are_on_one_page() -> TestResult {
    let browser = Browser::start(800, 900)?;
    let folder = TempDir::new().expect("room for a folder");
    let (one, other) = (folder.path().join("one"), folder.path().join("other"));
    for folder in [&one, &other] {
        std::fs::create_dir(folder).expect("the folder is ours");
    }
    let recordings = [FEW.record(&one), made_up::Story { zombies: 40, ..FEW }.record_as(&other, "another host")];
    let mut page = Page::open(browser, &[&recordings[0], &recordings[1]], folder, &[]);
    let hosts =
        page.browser.eval("[...document.querySelector('#run').options].map(it => it.textContent.split(',')[0])");
    assert_eq!(hosts, json!(["<b>made-up</b>", "another host"]));
    assert_eq!(page.browser.text("#selected"), "200 zombies");
    page.browser.eval("(() => { const it = document.querySelector('#run'); it.value = '1'; it.dispatchEvent(new Event('change')); })()");
    page.browser.wait_for("document.querySelector('#selected').textContent === '40 zombies'");
    assert!(page.browser.text("#subject").starts_with("another host"));
    assert_eq!(page.browser.eval("document.querySelector('#run-choice').hidden"), Value::Bool(false));
    page.is_well();
    Ok(())
}
