//! Deploys, versions, rollbacks and removals, for an operator.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body::Body as HttpBody;
use tokio::task::JoinError;

use super::claims::Claims;
use super::deployment::{Deployment, ListedVersion, Reloaded, VersionList};
use super::endpoints::{json, only};
use super::parameters::Parameters;
use super::refused::Refused;
use super::upload::{discard, receive};
use crate::body::{BodyError, Response};
use crate::error::VersionError;
use crate::function::Function;
use crate::http::problem;
use crate::runtime::{ALL, Runtime};

/// An error of the host's program.
type AnyError = Box<dyn Error + Send + Sync>;

/// Makes a function from its name and its module.
pub(super) type NewFunction = dyn Fn(&str, Arc<[u8]>) -> Result<Function, AnyError> + Send + Sync;

/// Reads the configuration again, and returns the changes.
pub(super) type Reload = dyn Fn() -> Result<Vec<String>, AnyError> + Send + Sync;

/// Changes what is deployed.
#[derive(Clone, Default)]
pub(super) struct Deploys {
    claims: Arc<Claims>,
    pub(super) new_function: Option<Arc<NewFunction>>,
    pub(super) reload: Option<Arc<Reload>>,
}

impl fmt::Debug for Deploys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deploys").field("claims", &self.claims).finish_non_exhaustive()
    }
}

impl Deploys {
    /// The response to a request about the function of a name. `action` is what
    /// follows the name in the path.
    pub(super) async fn answer<B>(
        &self,
        runtime: &Runtime,
        name: &str,
        action: Option<&str>,
        request: Request<B>,
    ) -> Response
    where
        B: HttpBody<Data = Bytes, Error: Into<BodyError>>,
    {
        let method = request.method().clone();
        let parameters = Parameters::parse(request.uri().query().unwrap_or_default());
        let Parameters { weight, version } = match parameters {
            Ok(parameters) => parameters,
            Err(reason) => return problem::refusal(StatusCode::BAD_REQUEST, &reason),
        };
        let answer = match (action, method) {
            (None, Method::PUT) => {
                self.deploy(runtime, name, weight.unwrap_or(ALL), request.into_body()).await
            }
            (None, Method::DELETE) => remove(runtime, name).await,
            (None, _) => return only("PUT, DELETE"),
            (Some("versions"), Method::GET) => list(runtime, name),
            (Some("versions"), _) => return only("GET"),
            (Some("rollback"), Method::POST) => roll_back(runtime, name, version).await,
            (Some("canary"), Method::POST) => weigh(runtime, name, weight).await,
            (Some(_), _) => return only("POST"),
        };
        answer.unwrap_or_else(|refused| refused.response())
    }

    /// Deploys the module in a body. Once it has arrived, the deploy goes on even
    /// if the operator leaves.
    async fn deploy<B>(
        &self,
        runtime: &Runtime,
        name: &str,
        weight: u8,
        body: B,
    ) -> Result<Response, Refused>
    where
        B: HttpBody<Data = Bytes, Error: Into<BodyError>>,
    {
        Function::from_bytes(name, [])
            .map_err(|error| Refused(StatusCode::BAD_REQUEST, error.to_string()))?;
        let claim = match self.claims.claim(name) {
            Ok(claim) => claim,
            Err(occupied) => {
                // Many clients read only after they have sent everything.
                discard(body).await;
                return Err(occupied.into());
            }
        };
        let wasm = receive(body).await?;
        let new_function = self.new_function.clone();
        let (runtime, name) = (runtime.clone(), name.to_owned());
        let deployed = blocking(move || {
            let _claim = claim;
            let function = match runtime.with_module(&name, wasm.clone()) {
                Some(function) => function,
                None => match new_function {
                    Some(new) => new(&name, wasm).map_err(|error| Refused::unusable(&*error))?,
                    None => Function::from_bytes(&name, wasm)
                        .map_err(|error| Refused::unusable(&error))?,
                },
            };
            let first = runtime.versions(&name).is_empty();
            let ready = runtime.ready(&function).map_err(|error| Refused::unusable(&error))?;
            let (version, instances) =
                (ready.function.version.to_string(), ready.function.reuse.to_string());
            runtime.install(ready, weight).map(drop).map_err(|error| Refused::unusable(&error))?;
            let weight = if first { ALL } else { weight };
            tracing::info!(function = name, version, weight, "an operator deployed a function");
            Ok(Deployment { function: name, version, weight, instances })
        });
        Ok(json(&deployed.await?))
    }

    /// Reads the configuration again.
    pub(super) async fn reload(&self) -> Response {
        let Some(reload) = self.reload.clone() else {
            let detail = "this host has no configuration that can be read again";
            return problem::refusal(StatusCode::NOT_FOUND, detail);
        };
        let reloaded = blocking(move || {
            let changes = reload().map_err(|error| Refused::unusable(&*error))?;
            Ok(Reloaded { changes })
        });
        match reloaded.await {
            Ok(reloaded) => json(&reloaded),
            Err(refused) => refused.response(),
        }
    }
}

fn list(runtime: &Runtime, name: &str) -> Result<Response, Refused> {
    let versions = runtime.versions(name);
    if versions.is_empty() {
        return Err(VersionError::NotDeployed { function: name.to_owned() }.into());
    }
    let versions = versions.into_iter().enumerate().map(ListedVersion::new).collect();
    Ok(json(&VersionList { function: name.to_owned(), versions }))
}

async fn roll_back(
    runtime: &Runtime,
    name: &str,
    version: Option<String>,
) -> Result<Response, Refused> {
    let (runtime, name) = (runtime.clone(), name.to_owned());
    let serves = blocking(move || {
        let version = runtime.rollback(&name, version.as_deref())?;
        tracing::info!(function = name, %version, "an operator rolled a function back");
        Ok(serving(&runtime, name, version.to_string()))
    });
    Ok(json(&serves.await?))
}

async fn weigh(runtime: &Runtime, name: &str, weight: Option<u8>) -> Result<Response, Refused> {
    let no_weight =
        || Refused(StatusCode::BAD_REQUEST, "name the weight, as `?weight=50`".to_owned());
    let (runtime, name, weight) = (runtime.clone(), name.to_owned(), weight.ok_or_else(no_weight)?);
    let serves = blocking(move || {
        runtime.set_canary(&name, weight)?;
        let versions = runtime.versions(&name);
        let changed = versions.iter().find(|version| version.is_canary || weight == ALL);
        let version = changed.map(|version| version.version.to_string()).unwrap_or_default();
        tracing::info!(function = name, version, weight, "an operator set the weight of a canary");
        Ok(Deployment { weight, ..serving(&runtime, name, version) })
    });
    Ok(json(&serves.await?))
}

async fn remove(runtime: &Runtime, name: &str) -> Result<Response, Refused> {
    let versions = runtime.versions(name);
    let (runtime, name) = (runtime.clone(), name.to_owned());
    let removed = blocking(move || {
        if !runtime.remove(&name) {
            return Err(VersionError::NotDeployed { function: name }.into());
        }
        tracing::info!(function = name, "an operator removed a function");
        let versions = versions.into_iter().enumerate().map(ListedVersion::new).collect();
        Ok(VersionList { function: name, versions })
    });
    Ok(json(&removed.await?))
}

/// A version that serves.
fn serving(runtime: &Runtime, function: String, version: String) -> Deployment {
    let reuse = runtime.instance_reuse(&function);
    let instances = reuse.map(|reuse| reuse.to_string()).unwrap_or_default();
    Deployment { function, version, weight: ALL, instances }
}

/// Does what compiles, or drops many instances, on a thread for it.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refused> + Send + 'static,
) -> Result<T, Refused> {
    let lost = |error: JoinError| {
        Err(Refused(StatusCode::INTERNAL_SERVER_ERROR, format!("the deploy was lost: {error}")))
    };
    tokio::task::spawn_blocking(work).await.unwrap_or_else(lost)
}
