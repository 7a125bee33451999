//! Images by hand: what is unpacked of them, and what is refused.

use std::{
    fs,
    io::Write,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
};

use rustix::process::{getegid, geteuid};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};
use tempfile::TempDir;

use super::{config::Overrides, *};

/// An archive of entries: what it is, its name, its link's target or its content.
fn layer(entries: &[(EntryType, &str, &str)]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for &(kind, name, text) in entries {
        let mut header = Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(0o6755);
        header.set_uid(geteuid().as_raw().into());
        header.set_gid(getegid().as_raw().into());
        header.set_mtime(1_000_000);
        // The crate's own setters refuse what is to be tried here.
        let fields = header.as_old_mut();
        fields.name[..name.len()].copy_from_slice(name.as_bytes());
        let is_link = matches!(kind, EntryType::Symlink | EntryType::Link);
        let content = if is_link {
            fields.linkname[..text.len()].copy_from_slice(text.as_bytes());
            ""
        } else {
            text
        };
        header.set_size(content.len() as u64);
        header.set_cksum();
        builder.append(&header, content.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap()
}

fn sha256(bytes: &[u8]) -> String {
    Digest::of(Sha256::new_with_prefix(bytes)).to_string()
}

const FILE: EntryType = EntryType::Regular;
const FOLDER: EntryType = EntryType::Directory;
const SYMLINK: EntryType = EntryType::Symlink;
const LINK: EntryType = EntryType::Link;

/// An OCI layout with these layers, each with the digest that it is said to have unpacked.
fn layout(layers: &[(Vec<u8>, String)], settings: &Value) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("blobs/sha256")).unwrap();
    let blob = |bytes: &[u8]| {
        let digest = sha256(bytes);
        fs::write(folder.path().join("blobs/sha256").join(&digest), bytes).unwrap();
        json!({"digest": format!("sha256:{digest}"), "size": bytes.len()})
    };
    let diffs: Vec<String> = layers.iter().map(|(_, diff)| format!("sha256:{diff}")).collect();
    let config = blob(json!({"config": settings, "rootfs": {"diff_ids": diffs}}).to_string().as_bytes());
    let layers: Vec<Value> = layers.iter().map(|(bytes, _)| blob(bytes)).collect();
    let manifest = blob(json!({"config": config, "layers": layers}).to_string().as_bytes());
    fs::write(folder.path().join("index.json"), json!({"manifests": [manifest]}).to_string()).unwrap();
    folder
}

fn plain_layers(layers: &[Vec<u8>]) -> Vec<(Vec<u8>, String)> {
    layers.iter().map(|layer| (layer.clone(), sha256(layer))).collect()
}

fn open(path: &Path) -> Result<Unpacked, String> {
    open_within(path, Limits::default())
}

fn open_within(path: &Path, limits: Limits) -> Result<Unpacked, String> {
    unpack(path.to_str().unwrap(), &Overrides::default(), limits).map_err(|error| error.to_string())
}

fn command() -> Value {
    json!({"Cmd": ["app"]})
}

fn unpacked(layers: &[Vec<u8>]) -> Result<Unpacked, String> {
    open(layout(&plain_layers(layers), &command()).path())
}

fn text(image: &Unpacked, path: &str) -> Option<String> {
    fs::read_to_string(image.root().join(path)).ok()
}

#[test]
fn a_layer_changes_what_is_below_it() {
    let image = unpacked(&[
        layer(&[
            (FOLDER, "./", ""),
            (FOLDER, "usr/bin/", ""),
            (SYMLINK, "bin", "usr/bin"),
            (FILE, "bin/old", "old"),
            (FILE, "gone", "x"),
            (FILE, "kept/below/a", "x"),
            (FILE, "swept/a", "x"),
            (FILE, "swept/in/b", "x"),
            (FILE, "file", "x"),
            (FILE, "folder/a", "x"),
        ]),
        layer(&[
            (FILE, "bin/new", "new"),
            (LINK, "bin/linked", "bin/old"),
            (FILE, ".wh.gone", ""),
            (FILE, "kept/below/.wh.a", ""),
            (FILE, "swept/in/c", "fresh"),
            (FILE, "swept/.wh..wh..opq", ""),
            (FILE, "nowhere/.wh.nothing", ""),
            (FOLDER, "file/", ""),
            (FILE, "folder", "a file now"),
        ]),
    ])
    .unwrap();
    assert_eq!(text(&image, "usr/bin/old").as_deref(), Some("old"));
    assert_eq!(text(&image, "usr/bin/new").as_deref(), Some("new"));
    assert_eq!(text(&image, "usr/bin/linked").as_deref(), Some("old"));
    assert_eq!(text(&image, "swept/in/c").as_deref(), Some("fresh"));
    assert_eq!(text(&image, "folder").as_deref(), Some("a file now"));
    for gone in ["gone", "kept/below/a", "swept/a", "swept/in/b", "nowhere"] {
        assert!(!image.root().join(gone).exists(), "{gone}");
    }
    assert!(image.root().join("kept/below").is_dir() && image.root().join("file").is_dir());
    let inode = |name: &str| fs::metadata(image.root().join(name)).unwrap().ino();
    assert_eq!(inode("usr/bin/old"), inode("usr/bin/linked"));
    assert_eq!(fs::metadata(image.root().join("folder")).unwrap().mtime(), 1_000_000);
}

#[test]
fn no_link_of_an_image_leads_out_of_its_folder() {
    let outside = tempfile::tempdir().unwrap();
    let (place, secret) = (outside.path().to_str().unwrap(), outside.path().join("secret"));
    fs::write(&secret, "secret").unwrap();
    let up = "../".repeat(12) + place.trim_start_matches('/');
    let image = unpacked(&[
        layer(&[
            // Where the links lead in a container.
            (FOLDER, place, ""),
            (SYMLINK, "absolute", place),
            (FILE, "absolute/one", "inside"),
            (SYMLINK, "relative", &up),
            (FILE, "relative/two", "inside"),
            (FILE, "secret", "own"),
            (SYMLINK, "file", &format!("{place}/secret")),
        ]),
        // What replaces a link does not go through it, and what removes one does not either.
        layer(&[(FILE, "file", "changed"), (FILE, "absolute/.wh.secret", ""), (FILE, "relative/.wh..wh..opq", "")]),
    ])
    .unwrap();
    assert_eq!(fs::read_to_string(&secret).unwrap(), "secret");
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
    assert_eq!(text(&image, "file").as_deref(), Some("changed"));
    assert_eq!(fs::read_dir(image.root().join(place.trim_start_matches('/'))).unwrap().count(), 0);
    for entries in [
        [(FILE, "../out", "x")],
        [(FILE, "a/../../out", "x")],
        [(LINK, "a", "../../etc/passwd")],
        [(LINK, "a", &format!("{place}/secret"))],
        [(FILE, "a/.wh...", "")],
        [(SYMLINK, "a", "")],
        [(FILE, ".", "x")],
    ] {
        assert!(unpacked(&[layer(&entries)]).is_err(), "{entries:?}");
    }
}

#[test]
fn a_users_files_are_those_of_the_image() {
    let outside = tempfile::NamedTempFile::new().unwrap();
    fs::write(outside.path(), "me:x:1:1::/out:\n").unwrap();
    let with = |link: &str| {
        let image = layer(&[(FILE, "etc/real", "me:x:5:6::/home/me:\n"), (SYMLINK, "etc/passwd", link)]);
        open(layout(&plain_layers(&[image]), &json!({"Cmd": ["app"], "User": "me"})).path())
    };
    let image = with("/etc/real").unwrap();
    assert_eq!((image.user.uid, image.user.gid, image.user.home.as_str()), (5, 6, "/home/me"));
    assert!(with(outside.path().to_str().unwrap()).unwrap_err().contains("no user me"));
    assert!(with("/proc/self/environ").is_err());
    let home = ("HOME".to_owned(), "/home/me".to_owned());
    assert!(image.environment().contains(&home), "{:?}", image.environment());
}

#[test]
fn devices_are_not_made_and_no_file_gets_the_rights_of_another_user() {
    let entries = [
        (EntryType::Char, "dev/mem", ""),
        (EntryType::Block, "dev/disk", ""),
        (EntryType::Fifo, "pipe", ""),
        (FILE, "bin/su", "x"),
        (FOLDER, "shared/", ""),
    ];
    let image = unpacked(&[layer(&entries)]).unwrap();
    assert_eq!(image.skipped, 3);
    assert!(!image.root().join("pipe").exists() && !image.root().join("dev/mem").exists());
    for name in ["bin/su", "shared"] {
        assert_eq!(fs::metadata(image.root().join(name)).unwrap().permissions().mode() & 0o7777, 0o755, "{name}");
    }
    let above = image.root().parent().unwrap();
    assert_eq!(fs::metadata(above).unwrap().permissions().mode() & 0o777, 0o700);
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn compressed_layers_are_known_by_both_digests() {
    let plain = layer(&[(FILE, "a", "text")]);
    for packed in [gzip(&plain), zstd::encode_all(&plain[..], 1).unwrap()] {
        let folder = layout(&[(packed.clone(), sha256(&plain))], &command());
        assert_eq!(text(&open(folder.path()).unwrap(), "a").as_deref(), Some("text"));
        let folder = layout(&[(packed.clone(), sha256(b"other"))], &command());
        assert!(open(folder.path()).unwrap_err().contains("has the digest"));
        // The blob itself, changed behind what is read as gzip.
        let folder = layout(&[(packed.clone(), sha256(&plain))], &command());
        let blob = folder.path().join("blobs/sha256").join(sha256(&packed));
        let mut changed = packed.clone();
        *changed.last_mut().unwrap() ^= 1;
        fs::write(&blob, changed).unwrap();
        assert!(open(folder.path()).is_err());
        fs::write(&blob, &packed[..packed.len() / 2]).unwrap();
        assert!(open(folder.path()).is_err());
    }
}

#[test]
fn a_document_that_was_changed_is_refused() {
    let folder = layout(&plain_layers(&[layer(&[(FILE, "a", "x")])]), &command());
    for entry in fs::read_dir(folder.path().join("blobs/sha256")).unwrap().flatten() {
        let before = fs::read(entry.path()).unwrap();
        let mut after = before.clone();
        // A digit of a number, or a letter of the content: still what can be parsed.
        let at = after.iter().rposition(u8::is_ascii_alphanumeric).unwrap();
        after[at] ^= 1;
        fs::write(entry.path(), &after).unwrap();
        let error = open(folder.path()).unwrap_err();
        assert!(error.contains("digest"), "{error}");
        fs::write(entry.path(), before).unwrap();
    }
    assert!(open(folder.path()).is_ok());
}

#[test]
fn every_size_is_bounded() {
    let zeros = String::from_utf8(vec![0; 4 << 20]).unwrap();
    let bomb = layer(&[(FILE, "zeros", &zeros)]);
    let folder = layout(&[(gzip(&bomb), sha256(&bomb))], &command());
    let limits = Limits { bytes: 1 << 20, entries: 10, layers: 2, json: 1000 };
    assert!(open_within(folder.path(), limits).unwrap_err().contains("too large"));
    // What is behind the end of the archive counts, too.
    let mut behind = layer(&[]);
    behind.resize(4 << 20, 0);
    let folder = layout(&[(gzip(&behind), sha256(&behind))], &command());
    assert!(open_within(folder.path(), limits).unwrap_err().contains("too large"));
    let small = |index: usize| layer(&[(FILE, &format!("f{index}"), "x")]);
    let many: Vec<_> = (0..3).map(small).collect();
    let folder = layout(&plain_layers(&many), &command());
    assert!(open_within(folder.path(), limits).unwrap_err().contains("more than 2 layers"));
    assert!(open_within(folder.path(), Limits { layers: 3, ..limits }).is_ok());
    assert!(open_within(folder.path(), Limits { layers: 3, entries: 2, ..limits }).unwrap_err().contains("2 files"));
    assert!(open_within(folder.path(), Limits { layers: 3, json: 100, ..limits }).unwrap_err().contains("100 bytes"));
    // The name of an entry.
    let mut builder = Builder::new(Vec::new());
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::GNULongName);
    header.set_size(zeros.len() as u64);
    header.set_cksum();
    builder.append(&header, zeros.as_bytes()).unwrap();
    assert!(unpacked(&[builder.into_inner().unwrap()]).unwrap_err().contains("name of an entry"));
}

#[test]
fn folders_are_not_put_in_each_other_without_end() {
    let deep = "d/".repeat(40);
    let mut entries: Vec<(EntryType, String, String)> = Vec::new();
    for round in 0..20 {
        let from = if round == 0 { String::new() } else { format!("l{}/", round - 1) };
        entries.push((FOLDER, format!("{from}{deep}"), String::new()));
        entries.push((SYMLINK, format!("l{round}"), format!("{from}{deep}")));
    }
    let entries: Vec<_> = entries.iter().map(|(kind, name, link)| (*kind, name.as_str(), link.as_str())).collect();
    assert!(unpacked(&[layer(&entries)]).is_err());
}

/// What `docker save` writes, with a link where two layers are the same.
fn saved(change: impl Fn(&mut Value)) -> Vec<u8> {
    let below = layer(&[(FILE, "a", "below"), (FILE, "b", "below")]);
    let above = layer(&[(FILE, "a", "above")]);
    let diffs: Vec<String> = [&below, &above, &above].map(|it| format!("sha256:{}", sha256(it))).to_vec();
    let config = json!({"config": command(), "rootfs": {"diff_ids": diffs}}).to_string();
    let name = format!("{}.json", sha256(config.as_bytes()));
    let mut manifest =
        json!([{"Config": name, "RepoTags": ["app:1"], "Layers": ["1/layer.tar", "2/layer.tar", "3/layer.tar"]}]);
    change(&mut manifest);
    let mut builder = Builder::new(Vec::new());
    let mut add = |name: &str, bytes: &[u8]| {
        let mut header = Header::new_gnu();
        header.set_size(bytes.len() as u64);
        builder.append_data(&mut header, name, bytes).unwrap();
    };
    add("1/layer.tar", &below);
    add("2/layer.tar", &above);
    add(&name, config.as_bytes());
    add("manifest.json", manifest.to_string().as_bytes());
    let mut header = Header::new_gnu();
    header.set_entry_type(SYMLINK);
    header.set_size(0);
    builder.append_link(&mut header, "3/layer.tar", "../2/layer.tar").unwrap();
    builder.into_inner().unwrap()
}

#[test]
fn an_archive_of_docker_save_is_read_as_it_is_and_compressed() {
    let folder = tempfile::tempdir().unwrap();
    let plain = saved(|_| {});
    for (name, bytes) in [("a.tar", plain.clone()), ("a.tar.gz", gzip(&plain)), ("a.bin", plain.clone())] {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        let image = open(&path).unwrap();
        assert_eq!(text(&image, "a").as_deref(), Some("above"));
        assert_eq!(text(&image, "b").as_deref(), Some("below"));
        assert_eq!(image.run.command, ["app"]);
    }
}

#[test]
fn an_archive_that_was_tampered_with_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tar");
    let error = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        open(&path).unwrap_err()
    };
    assert!(error(&saved(|it| it[0]["Layers"][1] = json!("1/layer.tar"))).contains("has the digest"));
    assert!(error(&saved(|it| it[0]["Layers"] = json!(["1/layer.tar"]))).contains("digests"));
    assert!(error(&saved(|it| it[0]["Config"] = json!("manifest.json"))).contains("digest"));
    assert!(error(&saved(|it| it[0]["Layers"][2] = json!("4/layer.tar"))).contains("missing"));
    let two = |it: &mut Value| {
        let mut other = it[0].clone();
        other["RepoTags"] = json!(["other:2"]);
        it.as_array_mut().unwrap().push(other);
    };
    assert!(error(&saved(two)).contains("app:1, other:2"));
    let plain = saved(|_| {});
    assert!(!error(&plain[..plain.len() / 3]).is_empty());
    assert!(!error(b"no archive at all").is_empty());
    assert!(!error(b"").is_empty());
}

#[test]
fn nothing_is_left_of_an_image() {
    let image = unpacked(&[layer(&[(FOLDER, "a", ""), (FILE, "a/b", "x")])]).unwrap();
    let above = image.root().parent().unwrap().to_owned();
    assert!(above.exists());
    drop(image);
    assert!(!above.exists());
}
