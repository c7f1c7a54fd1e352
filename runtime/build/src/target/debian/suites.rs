//! Which of Debian's suites to search, and the packages that apt lists in them.
//!
//! This module only parses text; `debian` runs apt.

/// The archives and suites in the output of `apt-get update --print-uris`. That
/// command, unlike `apt-get indextargets`, also works on a machine that has
/// never fetched a package list, such as a fresh container.
pub(crate) fn archives(printed: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for line in printed.lines() {
        let Some((address, _)) = line.strip_prefix('\'').and_then(|line| line.split_once('\''))
        else {
            continue;
        };
        let suite =
            address.strip_suffix("/InRelease").and_then(|address| address.split_once("/dists/"));
        // A suite for security updates never has the whole archive.
        if let Some((archive, suite)) = suite.filter(|(_, suite)| !suite.contains("security")) {
            found.push((archive.to_owned(), suite.to_owned()));
        }
    }
    found
}

/// The suites to search and their archives, the likely ones first: compilers
/// are newer than stable releases, and backports are small to search.
pub(crate) fn candidates(configured: &[(String, String)]) -> Vec<(&str, String)> {
    let mut candidates = Vec::new();
    for (archive, _) in configured {
        let own = configured.iter().filter(|(other, _)| other == archive);
        let own: Vec<&str> = own.map(|(_, suite)| suite.as_str()).collect();
        let releases = own.iter().filter(|suite| !suite.contains('-'));
        let backports: Vec<String> = releases.map(|suite| format!("{suite}-backports")).collect();

        let mut suites = vec!["stable-backports"];
        suites.extend(backports.iter().map(String::as_str));
        suites.extend(["testing", "unstable", "stable"]);
        suites.extend(own);
        suites.extend(["oldstable-backports", "experimental"]);
        for suite in suites {
            let candidate = (archive.as_str(), suite.to_owned());
            if !candidates.contains(&candidate) {
                candidates.push(candidate);
            }
        }
    }
    candidates
}

/// Packages and their versions in the output of `apt-cache madison`.
pub(crate) fn versions(madison: &str) -> Vec<(String, String)> {
    let columns = madison.lines().filter_map(|line| {
        let mut columns = line.split('|').map(|column| column.trim().to_owned());
        Some((columns.next()?, columns.next()?))
    });
    columns.collect()
}

/// The upstream version in a package's version: `1.95.0` in
/// `1.95.0+dfsg1-2~bpo13+1`. A beta's, `1.96.0~beta.2`, is unchanged.
pub(crate) fn upstream(version: &str) -> &str {
    let version = version.split_once(':').map_or(version, |(_, version)| version);
    version.split(['+', '-']).next().unwrap_or(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINTED: &str = "\
'http://example.org/debian/dists/bookworm/InRelease' example.org_debian_dists_bookworm_InRelease 0 
'http://example.org/debian/dists/bookworm-updates/InRelease' example.org_debian_dists_bookworm-updates_InRelease 0 
'http://example.org/debian-security/dists/bookworm-security/InRelease' example.org_debian-security_dists_bookworm-security_InRelease 0 
'http://example.org/debian/dists/bookworm/main/binary-amd64/Packages.xz' example.org_debian_dists_bookworm_main_binary-amd64_Packages 0 
";

    const MADISON: &str = "  \
  rust-src | 1.96.1+dfsg1-2~bpo13+1 | http://example.org/debian trixie-backports/main amd64 Packages
  rust-src | 1.95.0+dfsg1-2~bpo13+1 | http://example.org/debian trixie-backports/main amd64 Packages
 wasi-libc | 0.0~git20260129.ec0effd-3~bpo13+1 | http://example.org/debian trixie-backports/main amd64 Packages
";

    fn pair(first: &str, second: &str) -> (String, String) {
        (first.to_owned(), second.to_owned())
    }

    #[test]
    fn archives_are_read_from_the_machines_configuration() {
        let archive = "http://example.org/debian";
        assert_eq!(
            archives(PRINTED),
            [pair(archive, "bookworm"), pair(archive, "bookworm-updates")]
        );
        assert!(archives("").is_empty());
    }

    #[test]
    fn every_suite_is_looked_at_once_and_the_likely_ones_first() {
        let configured = archives(PRINTED);
        let suites: Vec<String> =
            candidates(&configured).into_iter().map(|(_, suite)| suite).collect();
        let expected = [
            "stable-backports",
            "bookworm-backports",
            "testing",
            "unstable",
            "stable",
            "bookworm",
            "bookworm-updates",
            "oldstable-backports",
            "experimental",
        ];
        assert_eq!(suites, expected);
    }

    #[test]
    fn versions_are_read_from_madison() {
        let expected = [
            pair("rust-src", "1.96.1+dfsg1-2~bpo13+1"),
            pair("rust-src", "1.95.0+dfsg1-2~bpo13+1"),
            pair("wasi-libc", "0.0~git20260129.ec0effd-3~bpo13+1"),
        ];
        assert_eq!(versions(MADISON), expected);
    }

    #[test]
    fn only_the_exact_release_matches() {
        assert_eq!(upstream("1.95.0+dfsg1-2~bpo13+1"), "1.95.0");
        assert_eq!(upstream("1.95.0-1"), "1.95.0");
        assert_eq!(upstream("1:1.95.0"), "1.95.0");
        assert_eq!(upstream("1.95.0~beta.3+dfsg1-1~exp1"), "1.95.0~beta.3");
    }
}
