//! The containers of a command: a section for each.

use std::io::{self, Write};

use crate::{
    output::{Palette, names::container_name, style::paint},
    report::{ContainerRecord, Report},
};

/// Prints a section for each container that was followed.
pub(super) fn text(report: &Report, palette: Palette, out: &mut dyn Write) -> io::Result<()> {
    report.containers.iter().try_for_each(|container| section(container, palette, out))
}

fn section(record: &ContainerRecord, palette: Palette, out: &mut dyn Write) -> io::Result<()> {
    let container = record.container.as_ref();
    let name = container.map_or_else(|| "unnamed".to_owned(), container_name);
    writeln!(out, "\n  container     {} ({})", paint(palette.name, name), record.followed.words())?;
    if let Some(image) = container.and_then(|container| container.image.as_ref()) {
        writeln!(out, "    image       {image}")?;
    }
    if let Some(compose) = container.and_then(|container| container.compose.as_ref()) {
        writeln!(out, "    service     {} of Compose project {}", compose.service, compose.project)?;
    }
    match (&record.exit, record.exit_code) {
        (Some(exit), Some(code)) if exit.to_string() != format!("exit {code}") => {
            writeln!(out, "    exit        {exit}, which the runtime shows as {code}")?;
        }
        (Some(exit), _) => writeln!(out, "    exit        {exit}")?,
        (None, _) => writeln!(out, "    exit        still running")?,
    }
    for stop in &record.stops {
        let cause = stop.cause.map_or_else(String::new, |cause| format!(", {}", cause.id()));
        writeln!(out, "    stop        {} by {}{cause}", stop.outcome.id(), stop.signal)?;
    }
    match &record.findings[..] {
        [] => writeln!(out, "    findings    none"),
        findings => findings.iter().try_for_each(|id| writeln!(out, "    finding     {id}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        container::{Compose, Container, Runtime},
        model::StopOutcome,
        policy::sample::{process, report},
        report::{ContainerStop, ExitRecord, How},
    };

    fn record(container: Option<Container>) -> ContainerRecord {
        ContainerRecord {
            container,
            followed: How::Named,
            process: Some(process(7, 1, "web")),
            exit: Some(ExitRecord::Code { code: 0 }),
            exit_code: Some(0),
            exits: None,
            findings: Vec::new(),
            stops: Vec::new(),
            pid_ns: None,
        }
    }

    #[test]
    fn each_container_has_a_section() {
        let compose = Some(Box::new(Compose { project: "shop".to_owned(), service: "web".to_owned() }));
        let web = Container {
            name: Some("shop-web-1".to_owned()),
            image: Some("shop/web:7".to_owned()),
            compose,
            ..Container::new(Runtime::Docker, "c".repeat(64))
        };
        let stop = ContainerStop { signal: "SIGTERM".to_owned(), outcome: StopOutcome::Failed, cause: None };
        let killed = ContainerRecord {
            exit: Some(ExitRecord::Signal { signal: "SIGKILL".to_owned(), core_dumped: false }),
            exit_code: Some(137),
            findings: vec!["stops/failed/SIGTERM/web@web".to_owned()],
            stops: vec![stop],
            ..record(Some(web))
        };
        let gone = ContainerRecord { followed: How::BeganMeanwhile, ..record(None) };
        let report = Report { containers: vec![killed, gone], ..report() };
        let mut out = Vec::new();
        text(&report, Palette::default(), &mut out).unwrap();
        let lines = [
            "",
            "  container     docker shop-web-1 (named by a client of the command)",
            "    image       shop/web:7",
            "    service     web of Compose project shop",
            "    exit        killed by SIGKILL, which the runtime shows as 137",
            "    stop        failed by SIGTERM",
            "    finding     stops/failed/SIGTERM/web@web",
            "",
            "  container     unnamed (started while a client of the command ran)",
            "    exit        exit 0",
            "    findings    none",
            "",
        ];
        assert_eq!(String::from_utf8(out).unwrap(), lines.join("\n"));
    }
}
