//! What is graded: a command on this machine, or an image.

use std::{ffi::OsString, path::PathBuf};

use anyhow::{Context, anyhow};

use super::Options;
use crate::{
    image::{self, Limits, Unpacked, config::Overrides},
    init_check::{User, scene::Scene},
    output::init_check::ImageRecord,
    remedy::{self, Fix, Seen},
    report::{Grade, Graded},
    signal,
    text::escape,
};

/// What the user names.
#[derive(Debug)]
pub enum Subject {
    /// A command.
    Command {
        /// Its words.
        command: Vec<OsString>,
        /// The root of its file system.
        rootfs: Option<PathBuf>,
        /// The user and group to run as.
        user: Option<User>,
    },
    /// An image.
    Image {
        /// A path or a name.
        reference: String,
        /// What is not as the image says.
        overrides: Overrides,
    },
}

/// The same, ready to be run.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) command: Vec<OsString>,
    pub(super) stop_signal: i32,
    pub(super) user: Option<User>,
    pub(super) rootfs: Option<PathBuf>,
    pub(super) workdir: Option<PathBuf>,
    pub(super) environment: Option<Vec<(String, String)>>,
    /// Its folder goes with it.
    image: Option<Unpacked>,
}

impl Prepared {
    /// Unpacks the image, if it is one.
    ///
    /// # Errors
    /// It cannot be unpacked, or is not one that can be run.
    pub(super) fn from(options: &Options) -> anyhow::Result<Self> {
        let default = signal::SIGTERM.cast_signed();
        match &options.subject {
            Subject::Command { command, rootfs, user } => Ok(Self {
                command: command.clone(),
                stop_signal: options.stop_signal.unwrap_or(default),
                user: user.clone(),
                rootfs: rootfs.clone(),
                workdir: None,
                environment: None,
                image: None,
            }),
            Subject::Image { reference, overrides } => {
                let image =
                    image::unpack(reference, overrides, Limits::default()).context("the image cannot be used")?;
                if image.skipped > 0 {
                    log::info!("{} devices and pipes of the image were not created", image.skipped);
                }
                let stop_signal = match (options.stop_signal, &image.run.stop_signal) {
                    (Some(signal), _) => signal,
                    (None, None) => default,
                    (None, Some(name)) => {
                        let shown = escape::text(name.as_bytes()).into_owned();
                        let number = signal::number(name).and_then(|number| i32::try_from(number).ok());
                        number.ok_or_else(|| anyhow!("the image's stop signal {shown} is not a signal"))?
                    }
                };
                let (uid, gid, groups) = (image.user.uid, image.user.gid, image.user.groups.clone());
                Ok(Self {
                    command: image.run.command.iter().map(OsString::from).collect(),
                    stop_signal,
                    user: Some(User { uid, gid, groups }),
                    rootfs: Some(image.root().to_owned()),
                    workdir: Some(image.run.workdir.clone().into()),
                    environment: Some(image.environment()),
                    image: Some(image),
                })
            }
        }
    }

    /// What would help with the checks that failed.
    pub(super) fn fixes(&self, graded: &[Graded], ends_on: &[u32]) -> Vec<Fix> {
        let failed: Vec<&'static str> = graded.iter().filter(|it| it.grade == Grade::Fail).map(|it| it.id).collect();
        let command: Vec<String> = self.command.iter().map(|word| word.to_string_lossy().into_owned()).collect();
        let entrypoint = self.image.as_ref().map_or(&command, |image| &image.run.entrypoint);
        remedy::propose(Seen { command: &command, entrypoint, failed: &failed, ends_on })
    }

    /// The image as it was run.
    pub(super) fn record(&self, scene: &Scene) -> Option<ImageRecord> {
        let image = self.image.as_ref()?;
        Some(ImageRecord {
            origin: image.origin.clone(),
            user: format!("{}:{}", image.user.uid, image.user.gid),
            workdir: escape::text(image.run.workdir.as_bytes()).into_owned(),
            stop_signal: signal::name(scene.stop_signal.unsigned_abs()).into_owned(),
        })
    }
}
