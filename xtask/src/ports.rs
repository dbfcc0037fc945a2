//! Free ports that stay the same from run to run.
//!
//! The wasm tests learn the server's address when they are compiled, so a new port would compile
//! them anew each time.

use std::net::{Ipv4Addr, TcpListener};

use crate::{Result, checkout, files};

/// Two different ports of 127.0.0.1 that are free now: those of the last run if they still are.
///
/// # Errors
///
/// When the operating system has no free port, or the file that remembers them cannot be written.
pub(crate) fn pair() -> Result<[u16; 2]> {
    let memory = checkout::path("target/xtask/ports");
    if let Some(ports) = files::read(&memory).ok().and_then(|text| parse(&text))
        && ports.into_iter().all(is_free)
    {
        return Ok(ports);
    }
    // Both are held until both are known, so that they differ.
    let listeners = [listen(0)?, listen(0)?];
    let [first, second] = listeners.map(|listener| listener.local_addr());
    let ports = [first?.port(), second?.port()];
    files::write(&memory, format!("{} {}\n", ports[0], ports[1]))?;
    Ok(ports)
}

/// Makes sure that a server can listen on this port of 127.0.0.1. On 0, which stands for any free one,
/// it always can.
///
/// # Errors
///
/// Why it cannot, and what to do.
pub(crate) fn check(port: u16) -> Result<()> {
    match listen(port) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!(
            "cannot listen on port {port} of 127.0.0.1: {error}; `--port N` takes another one, \
             `--port 0` any that is free"
        )
        .into()),
    }
}

fn parse(text: &str) -> Option<[u16; 2]> {
    let mut words = text
        .split_whitespace()
        .map(|word| word.parse().ok().filter(|&port| port != 0));
    let ports = [words.next()??, words.next()??];
    (words.next().is_none() && ports[0] != ports[1]).then_some(ports)
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
    fn remembered_ports_are_two_different_numbers() {
        assert_eq!(parse("40001 40002\n"), Some([40001, 40002]));
        for bad in ["", "40001", "40001 40001", "1 2 3", "0 5", "a b", "70000 1"] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
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
