//! `gristmill serve`: a small web server for a bundle, on this machine.
//!
//! It sends what a page needs to be fast and isolated, and what any host should send (`docs/hosting.md`). The runtime needs
//! none of it: a bundle works on every static host.

mod body;
mod files;
mod hosts;
mod range;
mod respond;

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use gristmill_bundle::Bundle;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::args::ServeArgs;
use crate::failure::{Exit, Failure, Outcome};
use crate::interrupt;
use crate::locate::{COMPACT, Purpose, bundle_for};
use crate::output::{emit, note};
use crate::page;

use files::Files;
use hosts::Hosts;
use respond::Site;

/// How long reads that are under way may take at the end.
const LAST: Duration = Duration::from_millis(200);

/// Serves until Ctrl-C.
pub(crate) fn serve(args: &ServeArgs) -> Outcome {
    let dir = bundle_for(&args.model, &args.flags, COMPACT, Purpose::Browsers)?;
    // A manifest that no browser would accept is told here, where somebody reads it.
    let bundle = Bundle::open(&dir)?;
    let site = Site {
        hosts: Hosts::new(args.host, &args.host_name),
        files: Files::below(&dir).map_err(|e| Failure::io(&dir, &e))?,
        isolated: !args.no_isolation,
        shared: args.cors,
    };
    // One thread: what takes time is the disk, and the runtime reads files on threads of its own.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::lacking(format!("the server cannot start: {e}")))?;
    let address = SocketAddr::new(args.host, args.port);
    let outcome = runtime.block_on(async {
        let listener = TcpListener::bind(address).await.map_err(|e| unavailable(address, &e))?;
        let bound = listener.local_addr().map_err(|e| unavailable(address, &e))?;
        let mut stopped = on_ctrl_c();
        emit(&format!("{}\n", url(bound)))?;
        announce(&bundle, bound, args);
        tokio::spawn(accept(listener, Arc::new(site)));
        stopped.recv().await;
        Ok(Exit::Interrupted)
    });
    // A disk that does not answer must not keep the program.
    runtime.shutdown_timeout(LAST);
    outcome
}

/// What there is to know besides the address.
fn announce(bundle: &Bundle, bound: SocketAddr, args: &ServeArgs) {
    note(&format!("serving {} until Ctrl-C", bundle.manifest().model.name));
    if !bundle.has("index.html") {
        note(page::MISSING);
    }
    if !bound.ip().is_loopback() {
        note("note: other machines can reach it, but browsers there offer WebGPU only over HTTPS");
    }
    if args.no_isolation {
        note("note: without cross-origin isolation, as on hosts that set no headers");
    }
}

/// The address for a browser on this machine.
fn url(bound: SocketAddr) -> String {
    match bound.ip() {
        ip if ip.is_unspecified() => format!("http://localhost:{}/", bound.port()),
        IpAddr::V4(ip) => format!("http://{ip}:{}/", bound.port()),
        IpAddr::V6(ip) => format!("http://[{ip}]:{}/", bound.port()),
    }
}

fn unavailable(address: SocketAddr, error: &io::Error) -> Failure {
    let remedy = match error.kind() {
        io::ErrorKind::AddrInUse => "another program listens there; choose another --port, or 0 for any free one",
        io::ErrorKind::PermissionDenied => "ports below 1024 need privileges; choose another --port",
        io::ErrorKind::AddrNotAvailable => "this machine has no such address; choose another --host",
        _ => "choose another --host or --port",
    };
    Failure::lacking(format!("{address}: {error}: {remedy}"))
}

/// A channel that hears of Ctrl-C.
fn on_ctrl_c() -> mpsc::UnboundedReceiver<()> {
    let (sender, receiver) = mpsc::unbounded_channel();
    interrupt::first(move || {
        let _ = sender.send(());
    });
    receiver
}

async fn accept(listener: TcpListener, site: Arc<Site>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // The client went away, or there are too many connections: others may fare better.
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let site = Arc::clone(&site);
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let site = Arc::clone(&site);
                async move { Ok::<_, Infallible>(site.respond(&request).await) }
            });
            // Clients break connections all the time: nothing to do about it.
            let _ =
                http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_for_browsers() {
        let url = |text: &str| url(text.parse().expect("an address"));
        assert_eq!(url("127.0.0.1:8080"), "http://127.0.0.1:8080/");
        assert_eq!(url("0.0.0.0:1"), "http://localhost:1/");
        assert_eq!(url("[::1]:80"), "http://[::1]:80/");
    }
}
