//! A balancer in front of servers, which leads to one of them.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Leads all connections to one server. When it turns to another, those that there are break.
pub(crate) struct Switch {
    address: SocketAddr,
    target: Arc<Mutex<SocketAddr>>,
    turns: watch::Sender<u64>,
}

impl Switch {
    pub(crate) async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let switch = Self {
            address: listener.local_addr().unwrap(),
            target: Arc::new(Mutex::new(target)),
            turns: watch::Sender::new(0),
        };
        let (target, turns) = (Arc::clone(&switch.target), switch.turns.subscribe());
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let (target, mut turns) = (Arc::clone(&target), turns.clone());
                turns.mark_unchanged();
                tokio::spawn(async move {
                    let target = *target.lock().unwrap();
                    // A server that is gone refuses, and so does this.
                    let Ok(mut server) = TcpStream::connect(target).await else {
                        return;
                    };
                    tokio::select! {
                        _ = copy_bidirectional(&mut client, &mut server) => {}
                        _ = turns.changed() => {}
                    }
                });
            }
        });
        switch
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn turn_to(&self, target: SocketAddr) {
        *self.target.lock().unwrap() = target;
        self.turns.send_modify(|turns| *turns += 1);
    }
}
