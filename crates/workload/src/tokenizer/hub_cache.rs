use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::LoadError;

/// One model in the standard cache of the Hugging Face libraries:
/// `models--OWNER--NAME/{blobs/ETAG, refs/REVISION, snapshots/COMMIT/FILE -> ../../blobs/ETAG}`.
pub(super) struct HubCache {
    root: PathBuf,
}

impl HubCache {
    pub(super) fn new(cache: &Path, id: &str) -> Self {
        Self { root: cache.join(format!("models--{}", id.replace('/', "--"))) }
    }

    /// Where the files of a commit are.
    pub(super) fn snapshot_directory(&self, commit: &str) -> PathBuf {
        self.root.join("snapshots").join(commit)
    }

    /// The snapshot that a revision refers to, if it holds a tokenizer.
    pub(super) fn snapshot(&self, revision: &str) -> Option<PathBuf> {
        let commit = fs::read_to_string(self.root.join("refs").join(revision)).ok()?;
        let directory = self.snapshot_directory(commit.trim());
        directory.join("tokenizer.json").is_file().then_some(directory)
    }

    /// Makes a revision refer to a commit.
    pub(super) fn set_revision(&self, revision: &str, commit: &str) -> Result<(), LoadError> {
        let path = self.root.join("refs").join(revision);
        make_parent(&path)
            .and_then(|()| fs::write(&path, commit))
            .map_err(|source| LoadError::Read { path, source })
    }

    /// Stores a file of a commit. A blob that is there already is not read again.
    pub(super) fn store(
        &self,
        commit: &str,
        etag: &str,
        name: &str,
        body: impl Read,
    ) -> Result<(), LoadError> {
        let etag = safe_name(etag);
        let blob = self.root.join("blobs").join(&etag);
        if !blob.is_file() {
            write_atomically(&blob, body)
                .map_err(|source| LoadError::Read { path: blob.clone(), source })?;
        }
        let link = self.snapshot_directory(&safe_name(commit)).join(name);
        point_to(&link, &blob, &etag).map_err(|source| LoadError::Read { path: link, source })
    }
}

/// An ETag without its quotes and weakness mark; other characters than a file name's are left out.
fn safe_name(text: &str) -> String {
    let allowed =
        |character: &char| character.is_ascii_alphanumeric() || "-_.".contains(*character);
    let name: String = text.trim_start_matches("W/").chars().filter(allowed).collect();
    if name.trim_matches('.').is_empty() { "unknown".to_owned() } else { name }
}

fn make_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)
}

fn write_atomically(path: &Path, mut body: impl Read) -> io::Result<()> {
    make_parent(path)?;
    let mut partial = path.as_os_str().to_owned();
    partial.push(format!(".{}.incomplete", std::process::id()));
    let partial = PathBuf::from(partial);
    let written = File::create(&partial)
        .and_then(|mut file| io::copy(&mut body, &mut file).and_then(|_| file.sync_all()))
        .and_then(|()| fs::rename(&partial, path));
    if written.is_err() {
        let _ = fs::remove_file(&partial);
    }
    written
}

/// Makes `link` show the blob: a relative link as the Python libraries make it, a copy where links
/// can't be made.
fn point_to(link: &Path, blob: &Path, etag: &str) -> io::Result<()> {
    make_parent(link)?;
    if fs::symlink_metadata(link).is_ok() {
        fs::remove_file(link)?;
    }
    #[cfg(unix)]
    {
        let target = Path::new("../../blobs").join(etag);
        if std::os::unix::fs::symlink(target, link).is_ok() {
            return Ok(());
        }
    }
    #[cfg(not(unix))]
    let _ = etag;
    fs::copy(blob, link).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::safe_name;

    #[test]
    fn etags_become_file_names() {
        assert_eq!(safe_name("W/\"abc123\""), "abc123");
        assert_eq!(safe_name("\"../../x\""), "....x");
        assert_eq!(safe_name("\"..\""), "unknown");
    }
}
