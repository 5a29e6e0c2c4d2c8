//! A certificate authority of a test.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::{fmt, fs};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;

/// An authority that nobody trusts but who is told to.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

/// A certificate and its key, in PEM, also in files that last as long as the authority.
#[derive(Debug, Clone)]
pub struct Identity {
    pub certificate: String,
    pub key: String,
    pub certificate_file: PathBuf,
    pub key_file: PathBuf,
}

impl Authority {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let mut wanted = CertificateParams::new(Vec::new()).unwrap();
        wanted.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let name = format!("authority {} of a test", NEXT.fetch_add(1, Ordering::Relaxed));
        wanted.distinguished_name.push(DnType::CommonName, name);
        let issuer = CertifiedIssuer::self_signed(wanted, KeyPair::generate().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { issuer, folder }
    }

    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    pub fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// A certificate for a host or a client, up to the end of that year.
    pub fn issue(&self, name: &str, year: i32) -> Identity {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let mut wanted = CertificateParams::new([name.to_owned()]).unwrap();
        wanted.distinguished_name.push(DnType::CommonName, name);
        wanted.not_after = rcgen::date_time_ymd(year, 12, 31);
        let key = KeyPair::generate().unwrap();
        let issued = wanted.signed_by(&key, &self.issuer).unwrap();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let file = |kind: &str, pem: &str| {
            let file = self.folder.path().join(format!("{number}.{kind}.pem"));
            fs::write(&file, pem).unwrap();
            file
        };
        let (certificate, key) = (issued.pem(), key.serialize_pem());
        let (certificate_file, key_file) = (file("certificate", &certificate), file("key", &key));
        Identity { certificate, key, certificate_file, key_file }
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("folder", &self.folder).finish_non_exhaustive()
    }
}
