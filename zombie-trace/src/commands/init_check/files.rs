//! The user's file whose lines are pointed at, and what is written beside the grades.

use std::{
    io,
    path::{Path, PathBuf},
};

use anyhow::anyhow;

use super::{Format, Options, Style, Subject};
use crate::{
    files::{
        read, shown,
        write::{Access, Draft, Existing},
    },
    output::{Reporter, init_check as render},
    remedy::{
        Fix,
        lines::{self, Kind},
    },
};

/// Read, and begun, before anything is graded.
pub(super) struct Files {
    pointed_at: Option<(String, String, Kind)>,
    sarif: Option<Draft>,
}

impl Files {
    /// Reads the one, and begins the other: a wrong path costs no run.
    ///
    /// # Errors
    /// One cannot be read or written, or is of no known kind.
    pub(super) fn begin(options: &Options) -> anyhow::Result<Self> {
        let pointed_at = options.file.as_deref().map(|path| {
            let text = read::text(path, read::MAX_SETTINGS).map_err(|error| anyhow!("{} {error}", shown(path)))?;
            let name = shown(&relative(path));
            let kind = lines::kind(&name, &text);
            let kind = kind.ok_or_else(|| anyhow!("{name} is not a Dockerfile, a Compose file or a pod spec"))?;
            Ok::<_, anyhow::Error>((name, text, kind))
        });
        let sarif = options.sarif.as_deref().map(|path| Draft::begin(path, Access::Private, Existing::Replace));
        Ok(Self { pointed_at: pointed_at.transpose()?, sarif: sarif.transpose()? })
    }

    /// The file, and what it is.
    pub(super) fn pointed_at(&self) -> Option<(String, Kind)> {
        self.pointed_at.as_ref().map(|(name, _, kind)| (name.clone(), *kind))
    }

    /// The same changes, with their lines.
    pub(super) fn point(&self, mut fixes: Vec<Fix>, options: &Options) -> Vec<Fix> {
        let image = match &options.subject {
            Subject::Image { reference, .. } => Some(reference.as_str()),
            Subject::Command { .. } => None,
        };
        if let Some((name, text, kind)) = &self.pointed_at {
            fixes.iter_mut().for_each(|fix| fix.find(name, text, *kind, image));
        }
        fixes
    }

    /// Writes what was asked for beside the grades.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn write(self, grades: &render::Grades, options: &Options) -> anyhow::Result<()> {
        if let Some(draft) = self.sarif {
            let mut sarif = render::Sarif(io::BufWriter::new(draft.writer()?));
            super::written(sarif.report(grades).and_then(|()| sarif.finish()))?;
            draft.complete()?;
        }
        if !options.github {
            return Ok(());
        }
        // A document alone is on standard output; the runner reads standard error as well.
        let annotated = match options.style {
            Style::Plain(Format::Text) => render::Annotations(io::stdout().lock()).report(grades),
            _ => render::Annotations(io::stderr().lock()).report(grades),
        };
        super::written(annotated)
    }
}

/// As it is called in the repository that the tool was started in.
fn relative(path: &Path) -> PathBuf {
    let current = std::env::current_dir().unwrap_or_default();
    let inside = path.strip_prefix(&current).unwrap_or(path);
    inside.strip_prefix(".").unwrap_or(inside).to_owned()
}
