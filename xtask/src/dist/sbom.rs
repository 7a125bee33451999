//! A list of what the program consists of, as CycloneDX 1.6 in JSON.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::{
    crates::{Id, Linked},
    libraries::Library,
    licences, names,
    oci::hex,
};

/// Makes it for a program. `created` is the time of the sources, in RFC 3339.
pub(super) fn make(linked: &Linked, libraries: &[Library], program: &[u8], created: &str) -> Result<Vec<u8>> {
    let own = purl(&("zombie-trace".to_owned(), names::VERSION.to_owned()));
    let mut components = Vec::new();
    for it in &linked.crates {
        let license = licences::expression(&it.license).with_context(|| it.id.0.clone())?;
        components.push(json!({
            "type": "library",
            "bom-ref": purl(&it.id),
            "purl": purl(&it.id),
            "name": it.id.0,
            "version": it.id.1,
            "licenses": [{"expression": license}],
            "hashes": [{"alg": "SHA-256", "content": it.checksum}],
        }));
    }
    for library in libraries {
        components.push(json!({
            "type": "library",
            "bom-ref": library.name,
            "name": library.name,
            "version": library.version,
            "licenses": [{"expression": library.license}],
            "properties": [{"name": "zombie-trace:origin", "value": library.origin}],
        }));
    }
    let names = libraries.iter().map(|library| library.name.to_owned());
    let needs: Vec<_> = linked.needs.iter().map(purl).chain(names.clone()).collect();
    let mut dependencies = vec![json!({"ref": own, "dependsOn": needs})];
    for it in &linked.crates {
        let needs: Vec<_> = it.needs.iter().map(purl).collect();
        dependencies.push(json!({"ref": purl(&it.id), "dependsOn": needs}));
    }
    dependencies.extend(names.map(|name| json!({"ref": name, "dependsOn": []})));
    let bom = json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": created,
            "component": {
                "type": "application",
                "bom-ref": own,
                "purl": own,
                "name": "zombie-trace",
                "version": names::VERSION,
                "licenses": [{"expression": "MIT OR Apache-2.0"}],
                "hashes": [{"alg": "SHA-256", "content": hex(program)}],
            },
        },
        "components": components,
        "dependencies": dependencies,
    });
    Ok(pretty(&bom)?.into_bytes())
}

fn pretty(value: &Value) -> Result<String> {
    Ok(serde_json::to_string_pretty(value)? + "\n")
}

/// A package URL. A version may have build metadata, whose plus sign is encoded there.
fn purl((name, version): &Id) -> String {
    format!("pkg:cargo/{name}@{}", version.replace('+', "%2B"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dist::crates::Crate;

    fn id(name: &str, version: &str) -> Id {
        (name.to_owned(), version.to_owned())
    }

    #[test]
    fn every_reference_leads_to_a_component() {
        let new = |id: Id, needs: Vec<Id>| Crate {
            id,
            license: "MIT/Apache-2.0".to_owned(),
            repository: String::new(),
            folder: "/".into(),
            checksum: "01".to_owned(),
            needs: needs.into_iter().collect(),
        };
        let (a, b) = (id("a", "1.0.0+x.2"), id("b", "2.0.0"));
        let linked = Linked { crates: vec![new(a.clone(), vec![b.clone()]), new(b, vec![])], needs: [a].into() };
        let libc = Library {
            name: "GNU C Library",
            version: "2".to_owned(),
            origin: "libc6-dev 2".to_owned(),
            license: "LGPL-2.1-or-later",
            texts: vec![],
        };
        let bom: Value =
            serde_json::from_slice(&make(&linked, &[libc], b"x", "1970-01-01T00:00:00Z").unwrap()).unwrap();
        let mut known: Vec<_> = bom["components"].as_array().unwrap().iter().map(|it| &it["bom-ref"]).collect();
        known.push(&bom["metadata"]["component"]["bom-ref"]);
        let dependencies = bom["dependencies"].as_array().unwrap();
        assert_eq!(dependencies.len(), known.len());
        for dependency in dependencies {
            assert!(known.contains(&&dependency["ref"]), "{dependency}");
            for to in dependency["dependsOn"].as_array().unwrap() {
                assert!(known.contains(&to), "{to}");
            }
        }
        assert_eq!(bom["components"][0]["purl"], "pkg:cargo/a@1.0.0%2Bx.2");
        assert_eq!(bom["components"][0]["licenses"][0]["expression"], "MIT OR Apache-2.0");
        assert_eq!(dependencies[0]["dependsOn"], json!(["pkg:cargo/a@1.0.0%2Bx.2", "GNU C Library"]));
    }
}
