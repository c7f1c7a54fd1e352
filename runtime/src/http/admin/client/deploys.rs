//! Deploys, versions, rollbacks and removals.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use serde::de::DeserializeOwned;

use super::{Client, ClientError, Refused};
use crate::http::admin::deployment::{Deployment, Reloaded, VersionList};

/// The longest time for a module to be sent and compiled, or for a server to read
/// its configuration.
const TIMEOUT: Duration = Duration::from_secs(600);

impl Client {
    /// Deploys a module, for a percentage of the invocations if there is a weight.
    pub(crate) async fn deploy(
        &self,
        name: &str,
        module: Bytes,
        weight: Option<u8>,
    ) -> Result<Deployment, ClientError> {
        // The server may refuse a request before it has read the module, and
        // close the connection. Such an answer could be lost.
        self.ask(Method::GET, &versions_of(name)).await?;
        let weight = weight.map(|weight| format!("?weight={weight}")).unwrap_or_default();
        self.change(Method::PUT, &format!("/functions/{name}{weight}"), module).await
    }

    /// Sets the weight of a canary.
    pub(crate) async fn weigh(&self, name: &str, weight: u8) -> Result<Deployment, ClientError> {
        let path = format!("/functions/{name}/canary?weight={weight}");
        self.change(Method::POST, &path, Bytes::new()).await
    }

    /// Returns to a version, or to the one that served before.
    pub(crate) async fn roll_back(
        &self,
        name: &str,
        version: Option<&str>,
    ) -> Result<Deployment, ClientError> {
        let version = version.map(|version| format!("?version={version}")).unwrap_or_default();
        let path = format!("/functions/{name}/rollback{version}");
        self.change(Method::POST, &path, Bytes::new()).await
    }

    /// Lists the versions of a function.
    pub(crate) async fn versions(&self, name: &str) -> Result<VersionList, ClientError> {
        self.change(Method::GET, &versions_of(name), Bytes::new()).await
    }

    /// Removes a function. Returns the versions that it had.
    pub(crate) async fn remove(&self, name: &str) -> Result<VersionList, ClientError> {
        self.change(Method::DELETE, &format!("/functions/{name}"), Bytes::new()).await
    }

    /// Lets the server read its configuration again.
    pub(crate) async fn reload(&self) -> Result<Reloaded, ClientError> {
        self.change(Method::POST, "/reload", Bytes::new()).await
    }

    async fn change<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<T, ClientError> {
        match self.ask_within(TIMEOUT, method, path, body).await? {
            (StatusCode::OK, body) => self.read(&body),
            (status, body) => match serde_json::from_slice::<Refused>(&body) {
                Ok(Refused { detail }) => Err(ClientError::Refused(detail)),
                Err(_) => Err(self.unlike(status)),
            },
        }
    }
}

fn versions_of(name: &str) -> String {
    format!("/functions/{name}/versions")
}
