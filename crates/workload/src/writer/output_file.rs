use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::WriteError;

/// Bytes that are collected before the operating system is asked to write them.
const BUFFER_BYTES: usize = 256 << 10;

/// A file that appears whole or not at all.
///
/// What is written goes into a file beside the destination, which takes its place at
/// [`OutputFile::commit`]; dropped before that, it leaves nothing behind and what was there
/// untouched. A destination that is no regular file (`/dev/null`, a named pipe) is written
/// directly, and so is standard output, whose name is `-`.
#[derive(Debug)]
pub struct OutputFile {
    path: PathBuf,
    sink: Sink,
}

enum Sink {
    /// A file beside the one (without symbolic links) whose place it will take.
    Beside(BufWriter<NamedTempFile>, PathBuf),
    Direct(BufWriter<Box<dyn Write + Send>>),
}

impl std::fmt::Debug for Sink {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Beside(file, _) => formatter.debug_tuple("Beside").field(file.get_ref()).finish(),
            Self::Direct(_) => formatter.write_str("Direct"),
        }
    }
}

impl OutputFile {
    /// Makes the file beside, so that a destination that cannot be written is known at once.
    ///
    /// # Errors
    /// When the folder is not there or may not be written, or the destination is a folder or may
    /// not be written.
    pub fn create(path: &Path) -> Result<Self, WriteError> {
        let sink =
            sink(path).map_err(|source| WriteError::Create { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), sink })
    }

    /// The destination, as given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file beside it that holds what has been written so far, if there is one: what is left
    /// over when the program is killed.
    pub fn unfinished(&self) -> Option<&Path> {
        match &self.sink {
            Sink::Beside(file, _) => Some(file.get_ref().path()),
            Sink::Direct(_) => None,
        }
    }

    /// Puts the file into its place once all of it is on the disk.
    ///
    /// # Errors
    /// When that fails; the destination is then what it was before.
    pub fn commit(self) -> Result<(), WriteError> {
        let Self { path, sink } = self;
        finish(sink).map_err(|source| WriteError::Finish { path, source })
    }
}

impl Write for OutputFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.sink {
            Sink::Beside(file, _) => file.write(bytes),
            Sink::Direct(out) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.sink {
            Sink::Beside(file, _) => file.flush(),
            Sink::Direct(out) => out.flush(),
        }
    }
}

fn sink(path: &Path) -> io::Result<Sink> {
    let direct =
        |out: Box<dyn Write + Send>| Ok(Sink::Direct(BufWriter::with_capacity(BUFFER_BYTES, out)));
    if path == Path::new("-") {
        return direct(Box::new(io::stdout()));
    }
    let existing = match fs::metadata(path) {
        Ok(metadata) => Some(metadata),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    if existing.as_ref().is_some_and(|it| !it.is_file()) {
        // A folder is refused by this.
        return direct(Box::new(OpenOptions::new().write(true).open(path)?));
    }
    // A symbolic link stays one.
    let destination = if existing.is_some() { fs::canonicalize(path)? } else { path.to_owned() };
    let folder = destination.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut builder = tempfile::Builder::new();
    let name = destination.file_name().unwrap_or_default().to_string_lossy();
    let prefix = format!(".{name}.");
    builder.prefix(&prefix).suffix(".tmp");
    if let Some(existing) = existing {
        // What may not be written may not be replaced either.
        OpenOptions::new().write(true).open(&destination)?;
        builder.permissions(existing.permissions());
    } else {
        like_any_new_file(&mut builder);
    }
    let file = builder.tempfile_in(folder.unwrap_or(Path::new(".")))?;
    Ok(Sink::Beside(BufWriter::with_capacity(BUFFER_BYTES, file), destination))
}

/// The permissions that the umask leaves; temporary files are their owner's alone otherwise.
#[cfg(unix)]
fn like_any_new_file(builder: &mut tempfile::Builder) {
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
}

#[cfg(not(unix))]
fn like_any_new_file(_builder: &mut tempfile::Builder) {}

fn finish(sink: Sink) -> io::Result<()> {
    match sink {
        Sink::Direct(mut out) => out.flush(),
        Sink::Beside(file, destination) => {
            let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.as_file().sync_all()?;
            file.persist(&destination)?;
            sync_folder(&destination);
            Ok(())
        }
    }
}

/// Makes the new name last, where folders can be asked to.
fn sync_folder(file: &Path) {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    // The file is complete and in its place; not every file system can do this.
    let _ = File::open(folder.unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all());
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;
    use std::path::Path;

    use turnbench_model::{Conversation, Message};

    use super::OutputFile;
    use crate::{Target, Writer, WriterOptions};

    fn names(folder: &Path) -> Vec<String> {
        let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
        let mut names: Vec<String> =
            fs::read_dir(folder).unwrap().map(|entry| name(entry).into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_appears_whole_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.json");
        let mut file = OutputFile::create(&path).unwrap();
        file.write_all(b"new").unwrap();
        file.flush().unwrap();
        assert!(!path.exists());
        file.commit().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(names(folder.path()), ["out.json"]);
    }

    #[test]
    fn a_failed_conversion_leaves_what_was_there_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.jsonl");
        fs::write(&path, "old").unwrap();
        let convert = |path: &Path| {
            let mut file = OutputFile::create(path).unwrap();
            let mut writer = Writer::new(Target::Mooncake, WriterOptions::default(), &mut file);
            writer.write(Conversation::new("a", vec![Message::new("user", "x")]))?;
            writer.finish()?;
            file.commit()
        };
        let error = convert(&path).unwrap_err().to_string();
        assert!(error.starts_with("conversation \"a\" has text"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        convert(&folder.path().join("none.jsonl")).unwrap_err();
        assert_eq!(names(folder.path()), ["out.jsonl"]);
    }

    #[test]
    fn places_that_cannot_be_written_are_named_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let shown = format!("{}/", folder.path().display());
        let error = |name: &str| {
            let error = OutputFile::create(&folder.path().join(name)).unwrap_err();
            error.to_string().replace(&shown, "")
        };
        let missing = error("none/out.json");
        assert!(missing.starts_with("cannot create none/out.json: No such file"), "{missing}");
        fs::create_dir(folder.path().join("folder")).unwrap();
        let is_folder = error("folder");
        assert!(is_folder.starts_with("cannot create folder: Is a directory"), "{is_folder}");
    }

    #[cfg(unix)]
    #[test]
    fn links_and_permissions_stay() {
        use std::os::unix::fs::{PermissionsExt, symlink};

        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("out.json"), folder.path().join("link.json"));
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        symlink("out.json", &link).unwrap();
        let mut file = OutputFile::create(&link).unwrap();
        file.write_all(b"new").unwrap();
        file.commit().unwrap();
        assert_eq!(fs::read_link(&link).unwrap(), Path::new("out.json"));
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        // A new file is like one that anything else makes.
        let plain = folder.path().join("plain");
        fs::write(&plain, "").unwrap();
        let made = folder.path().join("made");
        OutputFile::create(&made).unwrap().commit().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&made), mode(&plain));
    }

    #[cfg(unix)]
    #[test]
    fn devices_are_written_directly() {
        let mut file = OutputFile::create(Path::new("/dev/null")).unwrap();
        file.write_all(b"x").unwrap();
        file.commit().unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }
}
