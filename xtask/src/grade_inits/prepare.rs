//! What a program needs besides its command: configuration, data, or a small root of its own.
//!
//! What a program writes goes to `/dev/shm`, which is empty in every run and writable for every user: a container's
//! volumes are, too, and a file of one run must not decide the next.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::system;

/// A folder with one service, for a supervisor.
pub(super) fn service(folder: &Path) -> Result<()> {
    script(&folder.join("app/run"), "exec sleep 1000")
}

pub(super) fn supervisord(folder: &Path) -> Result<()> {
    let text = "[supervisord]\nlogfile=/dev/null\nlogfile_maxbytes=0\npidfile=/dev/shm/supervisord.pid\n\n\
                [program:app]\ncommand=sleep 1000\n";
    Ok(fs::write(folder.join("supervisord.conf"), text)?)
}

/// A package of JavaScript whose start script runs its arguments, so that they can be the check's workload.
pub(super) fn package(folder: &Path) -> Result<()> {
    fs::write(folder.join("package.json"), r#"{ "name": "app", "private": true, "scripts": { "start": "env" } }"#)?;
    Ok(fs::write(folder.join(".npmrc"), "update-notifier=false\n")?)
}

pub(super) fn nginx(folder: &Path) -> Result<()> {
    let places: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("    {name}_temp_path /dev/shm/{name};\n"))
        .concat();
    let text = format!(
        "pid /dev/shm/nginx.pid;\nerror_log stderr;\nevents {{}}\n\
         http {{\n{places}    access_log off;\n    server {{ listen 8080; }}\n}}\n"
    );
    Ok(fs::write(folder.join("nginx.conf"), text)?)
}

pub(super) fn apache(folder: &Path) -> Result<()> {
    let text = "ServerRoot /usr/lib/apache2\nServerName localhost\nListen 8080\n\
                DefaultRuntimeDir /dev/shm\nPidFile /dev/shm/apache2.pid\nErrorLog /dev/stderr\n\
                LoadModule mpm_event_module modules/mod_mpm_event.so\n\
                User www-data\nGroup www-data\n";
    Ok(fs::write(folder.join("apache2.conf"), text)?)
}

/// A database of `nobody`, because PostgreSQL refuses to work as root.
pub(super) fn postgres(folder: &Path) -> Result<()> {
    let versions = fs::read_dir("/usr/lib/postgresql").context("there is no PostgreSQL in /usr/lib/postgresql")?;
    let programs = versions.flatten().map(|version| version.path().join("bin"));
    let programs = programs.filter(|it| it.join("initdb").exists()).max().context("there is no initdb")?;
    symlink(programs.join("postgres"), folder.join("postgres"))?;
    let data = folder.join("data");
    fs::create_dir(&data)?;
    system::run(system::as_root("chown")?.arg("65534:65534").arg(&data))?;
    let mut initdb = system::as_root("setpriv")?;
    initdb.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(programs.join("initdb"));
    initdb.args(["--auth=trust", "--no-sync", "-D"]).arg(&data).current_dir("/").stdout(std::process::Stdio::null());
    system::run(&mut initdb)
}

fn script(path: &Path, line: &str) -> Result<()> {
    fs::create_dir_all(path.parent().context("a script lies in a folder")?)?;
    fs::write(path, format!("#!/bin/sh\n{line}\n"))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// A root with busybox as its shell, because full inits start and stop whole systems.
fn small_root(root: &Path) -> Result<()> {
    for folder in ["bin", "dev", "etc", "proc", "run", "sys", "tmp"] {
        fs::create_dir_all(root.join(folder))?;
    }
    let busybox = system::find_program("busybox").context("there is no busybox")?;
    fs::copy(busybox, root.join("bin/busybox"))?;
    for name in ["env", "sh", "sleep"] {
        symlink("busybox", root.join("bin").join(name))?;
    }
    Ok(())
}

pub(super) fn busybox_root(root: &Path) -> Result<()> {
    small_root(root)?;
    // Without its own table it would unmount all file systems at the end.
    fs::write(root.join("etc/inittab"), "::respawn:/bin/sleep 1000\n")?;
    Ok(())
}

pub(super) fn runit_root(root: &Path) -> Result<()> {
    small_root(root)?;
    for name in ["runit", "runsvdir", "runsv"] {
        let program = system::find_program(name).with_context(|| format!("there is no {name}"))?;
        copy(&program, root, &Path::new("bin").join(name))?;
    }
    script(&root.join("etc/runit/1"), "exit 0")?;
    script(&root.join("etc/runit/2"), "PATH=/bin exec runsvdir /service")?;
    script(&root.join("etc/runit/3"), "exit 0")?;
    script(&root.join("service/app/run"), "exec sleep 1000")
}

pub(super) fn systemd_root(root: &Path) -> Result<()> {
    small_root(root)?;
    copy(Path::new("/lib/systemd/systemd"), root, Path::new("lib/systemd/systemd"))
}

/// Copies a program, and its libraries including the loader, into a root.
fn copy(program: &Path, root: &Path, place: &Path) -> Result<()> {
    let into = |from: &Path, place: &Path| -> Result<()> {
        let copy = root.join(place);
        fs::create_dir_all(copy.parent().context("a program lies in a folder")?)?;
        fs::copy(from, &copy).with_context(|| from.display().to_string())?;
        Ok(())
    };
    into(program, place)?;
    for library in libraries(program)? {
        into(&library, library.strip_prefix("/").unwrap_or(&library))?;
    }
    Ok(())
}

fn libraries(program: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new("ldd").arg(program).output().context("ldd could not be started")?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.split_whitespace().filter(|word| word.starts_with('/')).map(PathBuf::from).collect())
}
