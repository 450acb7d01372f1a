//! Names of TCP and UDP ports.

use std::sync::OnceLock;

use rustc_hash::FxHashMap;

/// For hosts without `/etc/services`, the names that rules are likely to use.
const KNOWN: &[(&str, u16)] = &[
    ("ftp-data", 20),
    ("ftp", 21),
    ("ssh", 22),
    ("telnet", 23),
    ("smtp", 25),
    ("domain", 53),
    ("bootps", 67),
    ("bootpc", 68),
    ("tftp", 69),
    ("http", 80),
    ("www", 80),
    ("kerberos", 88),
    ("pop3", 110),
    ("ntp", 123),
    ("netbios-ns", 137),
    ("netbios-dgm", 138),
    ("netbios-ssn", 139),
    ("imap2", 143),
    ("snmp", 161),
    ("snmp-trap", 162),
    ("bgp", 179),
    ("ldap", 389),
    ("https", 443),
    ("microsoft-ds", 445),
    ("syslog", 514),
    ("ldaps", 636),
    ("domain-s", 853),
    ("imaps", 993),
    ("pop3s", 995),
    ("ms-sql-s", 1433),
    ("nfs", 2049),
    ("mysql", 3306),
    ("postgresql", 5432),
    ("amqp", 5672),
    ("redis", 6379),
];

/// The port that a service of that name has on this host.
pub(crate) fn port(name: &str) -> Option<u16> {
    static TABLE: OnceLock<FxHashMap<String, u16>> = OnceLock::new();
    let table = TABLE.get_or_init(|| parse(&std::fs::read_to_string("/etc/services").unwrap_or_default()));
    table.get(name).copied()
}

/// Lines of `name port/protocol alias…`; the first line of a name counts.
fn parse(text: &str) -> FxHashMap<String, u16> {
    let mut table = FxHashMap::default();
    for line in text.lines() {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let (Some(name), Some(port)) = (words.next(), words.next()) else { continue };
        let Some(port) = port.split('/').next().and_then(|port| port.parse().ok()) else { continue };
        for name in std::iter::once(name).chain(words) {
            table.entry(name.to_owned()).or_insert(port);
        }
    }
    for (name, port) in KNOWN {
        table.entry((*name).to_owned()).or_insert(*port);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_file_comes_before_the_built_in_names() {
        let table = parse("# comment\nhttp 8080/tcp web # the web\nbroken\nhttp 81/udp\n");
        assert_eq!(table["http"], 8080);
        assert_eq!(table["web"], 8080);
        assert_eq!(table["ssh"], 22);
        assert_eq!(table.get("broken"), None);
    }
}
