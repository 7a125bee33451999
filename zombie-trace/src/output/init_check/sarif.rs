//! SARIF 2.1.0: a result for each check that failed, at the line to change where that is known.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::{Grade, Graded, Grades};
use crate::output::{
    Reporter,
    check::sarif::{SCHEMA, uri},
};

/// A file of SARIF.
#[derive(Debug)]
pub struct Sarif<W>(pub W);

impl<W: Write> Reporter<Grades> for Sarif<W> {
    fn report(&mut self, grades: &Grades) -> io::Result<()> {
        let rules: Vec<Value> = grades.checks.iter().map(rule).collect();
        let results = grades.checks.iter().enumerate().filter(|(_, it)| it.grade == Grade::Fail);
        let results: Vec<Value> = results.map(|(index, it)| result(grades, index, it)).collect();
        let document = json!({
            "$schema": SCHEMA,
            "version": "2.1.0",
            "runs": [{
                "tool": { "driver": {
                    "name": "zombie-trace init-check", "version": env!("CARGO_PKG_VERSION"), "rules": rules,
                } },
                "invocations": [{ "commandLine": grades.command, "executionSuccessful": true }],
                "results": results,
            }],
        });
        serde_json::to_writer_pretty(&mut self.0, &document)?;
        self.0.write_all(b"\n")
    }

    fn finish(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn rule(it: &Graded) -> Value {
    json!({
        "id": it.id,
        "name": it.id,
        "shortDescription": { "text": it.demand },
        "fullDescription": { "text": it.demand },
        "help": { "text": format!("`zombie-trace explain {}` says how it is known and how to correct it.", it.id) },
    })
}

fn result(grades: &Grades, index: usize, it: &Graded) -> Value {
    // Every result needs a path. Without a file it gets an invented one that is the same in every run, as scanners of
    // images do it.
    let (artifact, line) = match grades.place(it) {
        Some((file, line)) => (json!({ "uri": uri(file), "uriBaseId": "%SRCROOT%" }), line),
        None => {
            let subject = grades.image.as_ref().map_or(&grades.command, |image| &image.origin);
            (json!({ "uri": format!("entrypoint/{}", uri(&subject.replace('/', "_"))) }), 1)
        }
    };
    json!({
        "ruleId": it.id,
        "ruleIndex": index,
        "level": if it.required { "error" } else { "note" },
        "message": { "text": grades.message(it) },
        "partialFingerprints": { "check/v1": it.id },
        "locations": [{ "physicalLocation": { "artifactLocation": artifact, "region": { "startLine": line } } }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        output::init_check::Annotations,
        remedy::{Seen, lines::Kind, propose},
    };

    fn grades(file: bool) -> Grades {
        let check = |id, required, grade| {
            let evidence = vec!["an orphan, 50% of them\nstays".to_owned()];
            Graded { id, required, demand: "orphans are reaped", grade, evidence, cause: None, advice: None }
        };
        let failed: &[&str] = &["reaps-orphans"];
        let command = ["app".to_owned()];
        let mut fixes = propose(Seen { command: &command, entrypoint: &[], failed, ends_on: &[] });
        if file {
            fixes[0].find("a:b/Dockerfile", "FROM a\nCMD app\n", Kind::Dockerfile, None);
        }
        Grades {
            command: "app".to_owned(),
            image: None,
            file: file.then(|| ("a:b/Dockerfile".to_owned(), Kind::Dockerfile)),
            fixes,
            checks: vec![check("reaps-orphans", true, Grade::Fail), check("reaps-once", false, Grade::Pass)],
        }
    }

    fn sarif(grades: &Grades) -> Value {
        let mut out = Vec::new();
        Sarif(&mut out).report(grades).unwrap();
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn a_result_is_at_the_line_to_change() {
        let document = sarif(&grades(true));
        let results = document["runs"][0]["results"].as_array().unwrap();
        assert_eq!(results.len(), 1);
        let place = &results[0]["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "a%3Ab/Dockerfile");
        assert_eq!(place["region"]["startLine"], 2);
        assert!(results[0]["message"]["text"].as_str().unwrap().contains(r#"ENTRYPOINT ["tini", "--"]"#));
        let document = sarif(&grades(false));
        assert_eq!(document["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["region"]["startLine"], 1);
    }

    #[test]
    fn sarif_is_valid() {
        // As for `check`.
        let schema = include_str!("../check/schema/sarif-schema-2.1.0.json").replace("{2}]?$", "{2}$");
        let schema = serde_json::from_str(&schema).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        for document in [sarif(&grades(true)), sarif(&grades(false))] {
            let errors: Vec<String> = validator.iter_errors(&document).map(|error| error.to_string()).collect();
            assert_eq!(errors, Vec::<String>::new());
        }
    }

    #[test]
    fn an_annotation_is_at_the_line_to_change() {
        let mut out = Vec::new();
        Annotations(&mut out).report(&grades(true)).unwrap();
        let text = String::from_utf8(out).unwrap();
        let start = "::error file=a%3Ab/Dockerfile,line=2,title=zombie-trace%3A reaps-orphans::orphans are reaped: an \
            orphan, 50%25 of them%0Astays%0A";
        assert!(text.starts_with(start), "{text}");
        assert_eq!(text.lines().count(), 1);
    }
}
