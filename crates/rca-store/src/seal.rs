//! Sealing of secrets: XChaCha20-Poly1305 under a key that lives outside the database.
//!
//! A sealed value is `1 (format) | key id | 24-byte nonce | ciphertext and tag`. Where it stands (workspace, table,
//! row, column) is authenticated with it, so a ciphertext that is copied to another place does not open.

use crate::error::{Error, ErrorKind, Result};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use std::fmt;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::{Zeroize as _, Zeroizing};

const FORMAT: u8 = 1;
const NONCE_BYTES: usize = 24;
const HEADER_BYTES: usize = 2 + NONCE_BYTES;

/// The master keys: one primary that seals, and older ones that still open.
///
/// Keys are kept in a file of lines `ID HEX`, the primary first; `#` begins a comment. The file must be readable by
/// its owner only. Cloning is cheap and `Debug` shows key ids alone.
#[derive(Clone)]
pub struct KeyRing {
    keys: Arc<Vec<Key>>,
    /// Where it was read from; a ring of a file follows that file while a store is open.
    file: Option<Arc<PathBuf>>,
}

struct Key {
    id: u8,
    bytes: Zeroizing<[u8; 32]>,
}

/// Where a sealed value stands; bound into it as associated data.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) workspace: &'a str,
    pub(crate) table: &'a str,
    pub(crate) row: &'a str,
    pub(crate) column: &'a str,
}

impl KeyRing {
    /// A ring with one new random key, held in memory only: for tests and for [`KeyRing::generate_file`].
    pub fn generate() -> Self {
        Self { keys: Arc::new(vec![Key::random(1)]), file: None }
    }

    /// Reads a key file.
    ///
    /// # Errors
    /// `Invalid` when the file cannot be read, is readable by others than its owner, or holds no valid key.
    pub fn from_file(path: &Path) -> Result<Self> {
        let mut file = std::fs::File::open(path).map_err(|error| {
            Error::new(ErrorKind::Invalid, format!("cannot open the master key file {}", path.display()))
                .with_source(error)
        })?;
        refuse_open_mode(&file, path)?;
        let mut text = Zeroizing::new(String::new());
        file.read_to_string(&mut text).map_err(|error| {
            Error::new(ErrorKind::Invalid, format!("cannot read the master key file {}", path.display()))
                .with_source(error)
        })?;
        Ok(Self { file: Some(Arc::new(path.to_owned())), ..Self::parse(&text)? })
    }

    /// Where it was read from.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.file.as_deref().map(PathBuf::as_path)
    }

    /// The ring that its file holds now; of a ring without a file, itself.
    pub(crate) fn read_again(&self) -> Result<Self> {
        self.file().map_or_else(|| Ok(self.clone()), Self::from_file)
    }

    /// Writes a new key file (mode 0600) and returns its ring. An existing file is never overwritten.
    ///
    /// # Errors
    /// `Invalid` when the file exists or cannot be written.
    pub fn generate_file(path: &Path) -> Result<Self> {
        let ring = Self::generate();
        write_private(path, &ring.to_text()).map_err(|error| {
            Error::new(ErrorKind::Invalid, format!("cannot create the master key file {}", path.display()))
                .with_source(error)
        })?;
        Ok(Self { file: Some(Arc::new(path.to_owned())), ..ring })
    }

    /// Adds a new primary key to a key file, keeping the old keys, and returns the new ring.
    ///
    /// The file is replaced atomically. Call [`crate::Store::reseal`] afterwards; then old keys can be removed.
    ///
    /// # Errors
    /// As [`KeyRing::from_file`]; `Invalid` when all 255 key ids are used or the file cannot be replaced.
    pub fn rotate_file(path: &Path) -> Result<Self> {
        Self::from_file(path)?.with_new_primary()?.replace_file(path)
    }

    /// Leaves only the primary key in a key file and returns the new ring. Call it when
    /// [`crate::Store::reseal`] has nothing left to do.
    ///
    /// # Errors
    /// As [`KeyRing::from_file`]; `Invalid` when the file cannot be replaced.
    pub fn prune_file(path: &Path) -> Result<Self> {
        Self::from_file(path)?.only_primary().replace_file(path)
    }

    fn replace_file(self, path: &Path) -> Result<Self> {
        let mut name = path.as_os_str().to_owned();
        name.push(".new");
        let temporary = PathBuf::from(name);
        // What a rotation that was cut off left behind was never in force.
        match std::fs::remove_file(&temporary) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
        .and_then(|()| write_private(&temporary, &self.to_text()))
        .and_then(|()| std::fs::rename(&temporary, path))
        .and_then(|()| match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => std::fs::File::open(parent)?.sync_all(),
            _ => Ok(()),
        })
        .map_err(|error| {
            Error::new(ErrorKind::Invalid, format!("cannot replace the master key file {}", path.display()))
                .with_source(error)
        })?;
        Ok(Self { file: Some(Arc::new(path.to_owned())), ..self })
    }

    /// The same ring with a new random primary key in front.
    ///
    /// # Errors
    /// `Invalid` when all 255 key ids are used.
    pub fn with_new_primary(&self) -> Result<Self> {
        let id = (1..=u8::MAX).find(|id| self.key(*id).is_none()).ok_or_else(|| {
            Error::new(
                ErrorKind::Invalid,
                "all 255 master key ids are in use; remove old keys after a reseal",
            )
        })?;
        let mut keys = vec![Key::random(id)];
        keys.extend(self.keys.iter().map(Key::copy));
        Ok(Self { keys: Arc::new(keys), file: None })
    }

    /// The same ring without any key but the primary: for after a complete reseal.
    pub fn only_primary(&self) -> Self {
        Self { keys: Arc::new(self.keys.iter().take(1).map(Key::copy).collect()), file: None }
    }

    /// The id of the key that seals.
    pub fn primary_id(&self) -> u8 {
        self.keys.first().map_or(0, |key| key.id)
    }

    /// The ids of all its keys, the primary first.
    pub fn ids(&self) -> Vec<u8> {
        self.keys.iter().map(|key| key.id).collect()
    }

    pub(crate) fn has(&self, id: u8) -> bool {
        self.key(id).is_some()
    }

    pub(crate) fn seal(&self, place: Place<'_>, plain: &[u8]) -> Result<Vec<u8>> {
        let id = self.primary_id();
        self.seal_with(id, place, plain)
    }

    fn seal_with(&self, id: u8, place: Place<'_>, plain: &[u8]) -> Result<Vec<u8>> {
        let failed = || Error::new(ErrorKind::Unsealable, "cannot seal a value");
        let key = self.key(id).ok_or_else(failed)?;
        let nonce: [u8; NONCE_BYTES] = rand::random();
        let payload = Payload { msg: plain, aad: &place.to_bytes(id) };
        let cipher = XChaCha20Poly1305::new((&*key.bytes).into());
        let ciphertext = cipher.encrypt(&XNonce::from(nonce), payload).map_err(|_| failed())?;
        let mut sealed = Vec::with_capacity(HEADER_BYTES + ciphertext.len());
        sealed.extend_from_slice(&[FORMAT, id]);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&ciphertext);
        Ok(sealed)
    }

    pub(crate) fn open(&self, place: Place<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let failed = |why: &str| {
            Error::new(
                ErrorKind::Unsealable,
                format!("cannot open a sealed value of table {}: {why}", place.table),
            )
        };
        let (header, ciphertext) =
            sealed.split_at_checked(HEADER_BYTES).ok_or_else(|| failed("it is too short"))?;
        let [FORMAT, id, nonce @ ..] = header else {
            return Err(failed("its format is unknown"));
        };
        let key = self
            .key(*id)
            .ok_or_else(|| failed("its master key is missing; restore the key file it was sealed with"))?;
        let nonce: [u8; NONCE_BYTES] = nonce.try_into().map_err(|_| failed("its nonce is too short"))?;
        let payload = Payload { msg: ciphertext, aad: &place.to_bytes(*id) };
        XChaCha20Poly1305::new((&*key.bytes).into())
            .decrypt(&XNonce::from(nonce), payload)
            .map(Zeroizing::new)
            .map_err(|_| failed("it was altered or moved, or the master key is wrong"))
    }

    fn key(&self, id: u8) -> Option<&Key> {
        self.keys.iter().find(|key| key.id == id)
    }

    fn parse(text: &str) -> Result<Self> {
        let invalid = || {
            Error::new(
                ErrorKind::Invalid,
                "the master key file holds a line that is not `ID HEX` with an id of 1 to 255 and 64 hex characters",
            )
        };
        let mut keys: Vec<Key> = Vec::new();
        for line in text.lines().map(str::trim) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (id, secret) = line.split_once(' ').ok_or_else(invalid)?;
            let id: u8 = id.parse().map_err(|_| invalid())?;
            let mut bytes = Zeroizing::new([0_u8; 32]);
            hex::decode_to_slice(secret.trim(), &mut *bytes).map_err(|_| invalid())?;
            if id == 0 || keys.iter().any(|key| key.id == id) {
                return Err(invalid());
            }
            keys.push(Key { id, bytes });
        }
        if keys.is_empty() {
            return Err(Error::new(ErrorKind::Invalid, "the master key file holds no key"));
        }
        Ok(Self { keys: Arc::new(keys), file: None })
    }

    fn to_text(&self) -> Zeroizing<String> {
        // Reserved in full, so that no reallocation leaves a copy of a key behind.
        let mut text = Zeroizing::new(String::with_capacity(200 + self.keys.len() * 80));
        text.push_str(
            "# Forge RCA master keys. The first seals, all open. Keep a copy apart from the database.\n",
        );
        for key in self.keys.iter() {
            let mut digits = hex::encode(key.bytes.as_slice());
            let _ = writeln!(text, "{} {digits}", key.id);
            digits.zeroize();
        }
        text
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing").field("key_ids", &self.ids()).finish_non_exhaustive()
    }
}

impl Key {
    fn random(id: u8) -> Self {
        Self { id, bytes: Zeroizing::new(rand::random()) }
    }

    fn copy(&self) -> Self {
        Self { id: self.id, bytes: self.bytes.clone() }
    }
}

impl Place<'_> {
    /// Every part with its length before it, so that no two places share an encoding.
    fn to_bytes(self, key_id: u8) -> Vec<u8> {
        let mut bytes = vec![FORMAT, key_id];
        for part in [self.workspace, self.table, self.row, self.column] {
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
        bytes
    }
}

#[cfg(unix)]
fn refuse_open_mode(file: &std::fs::File, path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = file
        .metadata()
        .map_err(|error| {
            Error::new(ErrorKind::Invalid, "cannot inspect the master key file").with_source(error)
        })?
        .permissions()
        .mode();
    if mode & 0o077 != 0 {
        return Err(Error::new(
            ErrorKind::Invalid,
            format!(
                "the master key file {} is accessible to others (mode {:03o}); run chmod 600 on it",
                path.display(),
                mode & 0o777
            ),
        ));
    }
    Ok(())
}

#[cfg(not(unix))]
fn refuse_open_mode(_: &std::fs::File, _: &Path) -> Result<()> {
    Ok(())
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
