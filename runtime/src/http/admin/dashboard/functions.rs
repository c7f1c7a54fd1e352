//! The functions, with their limits and capabilities, as JSON.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::body::Response;
use crate::function::FunctionInfo;
use crate::http::admin::endpoints::json;
use crate::http::routes::Routes;
use crate::limits::{Limits, bytes};
use crate::runtime::Runtime;

#[derive(Serialize)]
struct Functions {
    functions: Vec<Listed>,
}

#[derive(Serialize)]
struct Listed {
    name: String,
    kind: &'static str,
    /// The first digits of the hash of its module.
    version: Option<String>,
    instances: Option<String>,
    limits: Pairs,
    calls: Vec<String>,
    allow_hosts: Vec<String>,
    mounts: Vec<String>,
    /// The names of its variables, not their values.
    environment: Vec<String>,
    routes: Vec<String>,
}

/// Names with their values, in order.
struct Pairs(Vec<(&'static str, String)>);

/// All functions, sorted by name.
pub(in super::super) fn list(runtime: &Runtime, routes: &Routes) -> Response {
    let functions = runtime.functions().into_iter().filter_map(|name| {
        let (info, reuse) = (runtime.function_info(&name)?, runtime.instance_reuse(&name)?);
        Some(Listed::function(info, reuse.to_string(), routes))
    });
    let provided = runtime.host_functions().into_iter().map(|(name, timeout)| Listed {
        kind: "host_function",
        limits: Pairs(vec![("timeout", format!("{timeout:?}"))]),
        ..Listed::empty(&name)
    });
    json(&Functions { functions: functions.chain(provided).collect() })
}

impl Listed {
    fn empty(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            kind: "function",
            version: None,
            instances: None,
            limits: Pairs(Vec::new()),
            calls: Vec::new(),
            allow_hosts: Vec::new(),
            mounts: Vec::new(),
            environment: Vec::new(),
            routes: Vec::new(),
        }
    }

    fn function(info: FunctionInfo, instances: String, routes: &Routes) -> Self {
        Self {
            version: Some(info.version.to_string()),
            instances: Some(instances),
            limits: Pairs(limits(&info.limits)),
            calls: info.calls.iter().map(ToString::to_string).collect(),
            allow_hosts: info.allow_hosts.iter().map(ToString::to_string).collect(),
            mounts: info.mounts,
            environment: info.environment,
            routes: routes.paths(&info.name),
            ..Self::empty(&info.name)
        }
    }
}

fn limits(limits: &Limits) -> Vec<(&'static str, String)> {
    let response_body = match limits.response_body {
        u64::MAX => "no limit".to_owned(),
        limit => bytes::shown(limit),
    };
    vec![
        ("timeout", format!("{:?}", limits.timeout)),
        ("grace", format!("{:?}", limits.grace)),
        ("memory", bytes::shown(limits.memory)),
        ("request_body", bytes::shown(limits.request_body)),
        ("response_body", response_body),
        ("max_calls", limits.max_calls.to_string()),
        ("max_fetches", limits.max_fetches.to_string()),
        ("fetches_at_once", limits.fetches_at_once.to_string()),
        ("fetch_body", bytes::shown(limits.fetch_body)),
        ("detach", format!("{:?}", limits.detach)),
    ]
}

impl Serialize for Pairs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}
