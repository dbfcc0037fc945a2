//! Free ports that stay the same across runs.
//!
//! The wasm tests are compiled with the server's address, so a new port would recompile them each time.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener};

use crate::{Result, checkout, files};

/// The most ports that a part of the tests needs.
const COUNT: usize = 3;

/// Different free ports of 127.0.0.1: those of the last run if they are still free.
///
/// # Errors
///
/// If too few ports are free, or the file that remembers them cannot be written.
pub(crate) fn reserved() -> Result<[u16; COUNT]> {
    let memory = checkout::path("target/xtask/ports");
    if let Some(ports) = files::read(&memory).ok().and_then(|text| parse(&text))
        && ports.into_iter().all(is_free)
    {
        return Ok(ports);
    }
    // A concurrent run starts its search elsewhere.
    let start = std::process::id() as usize % OURS.len();
    let free: Vec<u16> = OURS
        .cycle_from(start)
        .filter(|&port| is_free(port))
        .take(COUNT)
        .collect();
    let ports: [u16; COUNT] = free.try_into().map_err(|_| {
        format!(
            "{COUNT} free ports of 127.0.0.1 are needed, from {} to {}",
            OURS.first, OURS.last
        )
    })?;
    files::write(&memory, ports.map(|port| port.to_string()).join(" ") + "\n")?;
    Ok(ports)
}

/// The range to search: below the ports that operating systems assign themselves (Linux from 32768, macOS
/// from 49152), since one of those could be taken by an outgoing connection before it is used.
const OURS: Ports = Ports {
    first: 20_000,
    last: 29_999,
};

/// A range of ports.
struct Ports {
    first: u16,
    last: u16,
}

impl Ports {
    const fn len(&self) -> usize {
        (self.last - self.first) as usize + 1
    }

    /// Each port once, starting with the one at `start`.
    fn cycle_from(&self, start: usize) -> impl Iterator<Item = u16> {
        (self.first..=self.last)
            .cycle()
            .skip(start)
            .take(self.len())
    }
}

/// Checks that a server can listen on this port of 127.0.0.1. On 0, which stands for any free port, it always
/// can.
///
/// # Errors
///
/// Why it cannot, and what to do.
pub(crate) fn check(port: u16) -> Result<()> {
    match listen(port) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!(
            "cannot listen on port {port} of 127.0.0.1: {error}; `--port N` picks another one, \
             `--port 0` any that is free"
        )
        .into()),
    }
}

fn parse(text: &str) -> Option<[u16; COUNT]> {
    let ports: Vec<u16> = text
        .split_whitespace()
        .map(|word| word.parse().ok().filter(|&port| port != 0))
        .collect::<Option<_>>()?;
    let different: BTreeSet<_> = ports.iter().collect();
    (different.len() == ports.len()).then(|| ports.try_into().ok())?
}

fn is_free(port: u16) -> bool {
    listen(port).is_ok()
}

fn listen(port: u16) -> std::io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembered_ports_are_three_different_numbers() {
        assert_eq!(parse("40001 40002 40003\n"), Some([40001, 40002, 40003]));
        for bad in ["", "1 2", "1 2 1", "1 2 3 4", "0 5 6", "a b c", "70000 1 2"] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn every_port_of_the_range_comes_once() {
        let ports = Ports { first: 5, last: 8 };
        assert_eq!(ports.cycle_from(2).collect::<Vec<_>>(), [7, 8, 5, 6]);
    }

    #[test]
    fn a_port_that_is_listened_on_is_not_free() {
        let listener = listen(0).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(!is_free(port));
        let message = check(port).unwrap_err().to_string();
        assert!(message.contains(&format!("port {port} of")), "{message}");
        assert!(message.contains("--port"), "{message}");
        drop(listener);
        assert!(is_free(port));
        assert!(check(port).is_ok() && check(0).is_ok());
    }
}
