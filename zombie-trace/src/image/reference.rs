//! Tells what `--image` names: a path, or an image of a store.

use super::ImageError;

/// Where an image is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// An archive, or the folder of a layout.
    Path(String),
    /// A name that a client knows.
    Name(String),
}

/// Reads a reference.
///
/// Text that begins with `/` or `.` is a path. Other text is a path if there is such a file, and it ends as archives do or
/// is not a possible name of an image. `exists` says whether there is such a file.
pub(super) fn parse(reference: &str, exists: impl Fn(&str) -> bool) -> Result<Source, ImageError> {
    let is_archive = [".tar", ".tar.gz", ".tgz", ".tar.zst"].iter().any(|end| reference.ends_with(end));
    if reference.starts_with(['/', '.']) || is_archive && exists(reference) {
        return Ok(Source::Path(reference.to_owned()));
    }
    if is_name(reference) {
        return Ok(Source::Name(reference.to_owned()));
    }
    if exists(reference) {
        return Ok(Source::Path(reference.to_owned()));
    }
    let shown = super::foreign(reference.as_bytes());
    Err(ImageError::invalid(format!("{shown} is neither a file nor the name of an image")))
}

/// Whether a client may take this for a name. It must not take it for an option.
fn is_name(text: &str) -> bool {
    let begins = text.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric());
    begins && text.len() <= 1024 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-/:@".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_called_like_an_image_does_not_stand_in_for_it() {
        let all = |_: &str| true;
        assert_eq!(parse("python", all).unwrap(), Source::Name("python".into()));
        assert_eq!(parse("./python", all).unwrap(), Source::Path("./python".into()));
        assert_eq!(parse("web.tar", all).unwrap(), Source::Path("web.tar".into()));
        assert_eq!(parse("web.tar", |_| false).unwrap(), Source::Name("web.tar".into()));
        assert_eq!(parse("host:5000/a/b@sha256:00", all).unwrap(), Source::Name("host:5000/a/b@sha256:00".into()));
    }

    #[test]
    fn what_a_client_may_take_for_an_option_is_no_name() {
        assert!(parse("--host=elsewhere", |_| false).is_err());
        assert!(parse("", |_| false).is_err());
        assert!(parse("a b", |_| false).is_err());
    }
}
