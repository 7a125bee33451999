//! A report as one page that needs nothing but itself: no network, no other file.
//!
//! What the page does is in `page/`, one file a concern, and in the charting library under `vendor/`; both are put into
//! the page as they are. What was reported goes along as JSON, and only the page's own code may run: the content
//! security policy names it by its digest and forbids everything else, connections included.

mod columns;
mod data;
mod script_json;
mod zombies;

#[cfg(test)]
mod tests;

use std::io::{self, Write};

use base64::{Engine, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};

use self::zombies::{MAX_ZOMBIES, Zombies};
use super::Reporter;
use crate::report::{Notice, Report};

/// The charting library, byte for byte as its package has it; `cargo xtask vendor` compares.
const LIBRARY: &str = include_str!("vendor/uplot/uPlot.iife.min.js");
const LIBRARY_STYLE: &str = include_str!("vendor/uplot/uPlot.min.css");
const LIBRARY_LICENSE: &str = include_str!("vendor/uplot/LICENSE");
const STYLE: &str = concat!(include_str!("page/style.css"), include_str!("page/timeline.css"));
/// In the order in which they build on each other.
const SCRIPT: &str = concat!(
    "\"use strict\";\nconst zt = {};\n",
    include_str!("page/words.js"),
    include_str!("page/data.js"),
    include_str!("page/filters.js"),
    include_str!("page/layout.js"),
    include_str!("page/tip.js"),
    include_str!("page/timeline.js"),
    include_str!("page/distribution.js"),
    include_str!("page/tables.js"),
    include_str!("page/ranking.js"),
    include_str!("page/overview.js"),
    include_str!("page/theme.js"),
    include_str!("page/main.js"),
);
const BODY: &str = include_str!("page/body.html");

/// The page. Reports are written as they come.
#[derive(Debug)]
pub struct Html<W> {
    out: W,
    min_age_ns: u64,
    reports: usize,
    zombies: Zombies,
}

impl<W: Write> Html<W> {
    /// Writes to `out`; zombies are told of from this age on.
    pub fn new(out: W, min_age_ns: u64) -> Self {
        Self { out, min_age_ns, reports: 0, zombies: Zombies::new(MAX_ZOMBIES) }
    }

    fn begin_page(&mut self) -> io::Result<()> {
        let digest = |text: &str| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)));
        let out = &mut self.out;
        writeln!(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">")?;
        writeln!(
            out,
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; script-src {} {}; style-src {} {}; \
             base-uri 'none'; form-action 'none'\">",
            digest(LIBRARY),
            digest(SCRIPT),
            digest(LIBRARY_STYLE),
            digest(STYLE)
        )?;
        writeln!(out, "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">")?;
        writeln!(out, "<meta name=\"color-scheme\" content=\"light dark\">")?;
        writeln!(out, "<meta name=\"generator\" content=\"zombie-trace {}\">", env!("CARGO_PKG_VERSION"))?;
        writeln!(out, "<title>zombie-trace report</title>")?;
        writeln!(out, "<style>{LIBRARY_STYLE}</style>\n<style>{STYLE}</style>\n</head>")?;
        write!(out, "{BODY}<script type=\"application/json\" id=\"data\">{{\"version\":")?;
        script_json::write(out, &env!("CARGO_PKG_VERSION"))?;
        write!(out, ",\"reports\":[")
    }
}

impl<W: Write> Reporter for Html<W> {
    fn notice(&mut self, notice: &Notice) -> io::Result<()> {
        self.zombies.take(notice);
        Ok(())
    }

    fn report(&mut self, report: &Report) -> io::Result<()> {
        if self.reports == 0 {
            self.begin_page()?;
        } else {
            self.out.write_all(b",\n")?;
        }
        self.reports += 1;
        let zombies = std::mem::replace(&mut self.zombies, Zombies::new(MAX_ZOMBIES));
        data::Run::with(report, self.min_age_ns, zombies, |run| script_json::write(&mut self.out, run))
    }

    fn finish(&mut self) -> io::Result<()> {
        if self.reports > 0 {
            writeln!(self.out, "]}}</script>")?;
            writeln!(self.out, "<!-- uPlot:\n{LIBRARY_LICENSE}-->")?;
            writeln!(self.out, "<script>{LIBRARY}</script>\n<script>{SCRIPT}</script>\n</body>\n</html>")?;
        }
        self.out.flush()
    }
}
