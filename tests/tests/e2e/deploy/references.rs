//! Names by which the manifests of Kubernetes refer to each other.

use std::collections::BTreeSet;

use anyhow::Result;

use super::{text, values};

const MANIFESTS: [&str; 7] = [
    "kubernetes/config.yaml",
    "kubernetes/deployment.yaml",
    "kubernetes/disruption-budget.yaml",
    "kubernetes/hpa/autoscaler.yaml",
    "kubernetes/keda/scaled-object.yaml",
    "kubernetes/prometheus-operator/service-monitor.yaml",
    "kubernetes/service.yaml",
];

#[test]
fn ports_are_those_of_the_container() -> Result<()> {
    let deployment = text("kubernetes/deployment.yaml")?;
    let ports = ["http, containerPort: 8080", "admin, containerPort: 9090"];
    for port in ports {
        assert!(deployment.contains(&format!("{{ name: {port} }}")), "{port}");
    }
    let service = text("kubernetes/service.yaml")?;
    assert_eq!(values(&service, "targetPort: "), ["http", "admin"]);
    assert_eq!(values(&deployment, "path: /readyz, port: "), ["admin"; 2]);
    assert_eq!(values(&deployment, "path: /livez, port: "), ["admin"]);
    let monitor = text("kubernetes/prometheus-operator/service-monitor.yaml")?;
    assert_eq!(values(&monitor, "- port: "), ["admin"]);
    assert!(service.contains("{ name: admin, port: 9090, "));
    let config = super::kubernetes_config()?;
    assert_eq!(values(&config, "listen = "), ["0.0.0.0:8080"]);
    assert_eq!(values(&config, "admin = "), ["0.0.0.0:9090"]);
    Ok(())
}

#[test]
fn everything_is_named_hourglass() -> Result<()> {
    for name in MANIFESTS {
        let text = text(name)?;
        for key in [
            "app.kubernetes.io/name: ",
            "kind: Deployment, name: ",
            "scaleTargetRef: { name: ",
            "configMap: { name: ",
            "secretName: ",
            "credentials: { name: ",
        ] {
            for value in values(&text, key) {
                assert_eq!(value, "hourglass", "{name}: {key}");
            }
        }
        let names = values(&text, "\nmetadata:\n  name: ");
        assert!(!names.is_empty(), "{name}");
        let known = |name: &&str| ["hourglass", "hourglass-admin"].contains(name);
        assert!(names.iter().all(known), "{name}: {names:?}");
    }
    Ok(())
}

#[test]
fn mounts_have_volumes() -> Result<()> {
    let deployment = text("kubernetes/deployment.yaml")?;
    let (container, volumes) = deployment.split_once("\n      volumes:\n").unwrap();
    let (_, mounts) = container.split_once("volumeMounts:\n").unwrap();
    let set = |text, key| values(text, key).into_iter().collect::<BTreeSet<_>>();
    assert_eq!(set(mounts, "{ name: "), set(volumes, "- name: "));
    // Paths that the variables and the configuration name.
    let config = super::kubernetes_config()?;
    let [token] = values(&config, "admin_token_file = ")[..] else { panic!("{config}") };
    let mounted: Vec<_> = values(mounts, "mountPath: ");
    for path in values(container, "value: /").into_iter().chain([token.trim_start_matches('/')]) {
        let inside = |folder: &&str| format!("/{path}").starts_with(&format!("{folder}/"));
        assert!(mounted.iter().any(inside), "{path} is in no volume: {mounted:?}");
    }
    Ok(())
}
