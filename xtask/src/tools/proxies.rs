//! nginx and HAProxy, which the tests put between clients and servers.

use super::installed::Program;

pub(crate) const NGINX: Program = Program {
    variable: "NGINX",
    names: &["nginx", "/usr/sbin/nginx"],
    package: "nginx-light",
    what: "nginx, which the tests put in front of servers,",
};

pub(crate) const HAPROXY: Program = Program {
    variable: "HAPROXY",
    names: &["haproxy", "/usr/sbin/haproxy"],
    package: "haproxy",
    what: "HAProxy, which the tests put in front of servers,",
};
