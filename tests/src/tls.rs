//! Certificates, and clients that trust them.

use std::io::{Error, Result};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::{fs, io};

use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A certificate and its key, in files of their own.
#[derive(Debug)]
pub struct Pair {
    _folder: TempDir,
    /// Where the certificate is.
    pub certificate: PathBuf,
    /// Where its key is.
    pub key: PathBuf,
}

/// What a client knows a server by.
#[derive(Clone, Debug)]
pub struct Trust(CertificateDer<'static>);

impl Pair {
    /// A new one, and what a client knows it by.
    ///
    /// # Errors
    /// What the system says.
    pub fn new() -> Result<(Self, Trust)> {
        let folder = tempfile::tempdir()?;
        let [certificate, key] = ["chain.pem", "key.pem"].map(|name| folder.path().join(name));
        let pair = Self { _folder: folder, certificate, key };
        let trust = pair.renew()?;
        Ok((pair, trust))
    }

    /// Replaces it by another one.
    ///
    /// # Errors
    /// What the system says.
    pub fn renew(&self) -> Result<Trust> {
        let (trust, certificate, key) = made()?;
        fs::write(&self.certificate, certificate)?;
        fs::write(&self.key, key)?;
        Ok(trust)
    }
}

/// A certificate and its key, as they stand in files.
fn made() -> Result<(Trust, String, String)> {
    let names = ["localhost", "127.0.0.1"].map(str::to_owned);
    let made = rcgen::generate_simple_self_signed(names).map_err(Error::other)?;
    let trust = Trust(made.cert.der().clone());
    Ok((trust, made.cert.pem(), made.signing_key.serialize_pem()))
}

impl Trust {
    /// Connects to a server that has this certificate, and names these versions of HTTP.
    ///
    /// # Errors
    /// What the system says; `InvalidData` where the server has another one.
    pub async fn connect(
        &self,
        address: SocketAddr,
        versions: &[&str],
    ) -> Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.clone()).map_err(Error::other)?;
        let mut config = ClientConfig::builder_with_provider(ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .map_err(Error::other)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = versions.iter().map(|name| name.as_bytes().to_vec()).collect();
        let name = ServerName::try_from("localhost").map_err(Error::other)?;
        let stream = TcpStream::connect(address).await?;
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }

    /// Whether a server has this certificate now.
    ///
    /// # Errors
    /// What the system says.
    pub async fn is_of(&self, address: SocketAddr) -> Result<bool> {
        match self.connect(address, &[]).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(false),
            Err(error) => Err(error),
        }
    }
}
