//! `gristmill serve`: a small web server for a bundle on this machine.
//!
//! It sends the headers that make a page fast and isolated, and that any host should send (`docs/hosting.md`). The
//! runtime does not depend on them: a bundle works on every static host.

mod body;
mod files;
mod hosts;
mod lan;
mod qr;
mod range;
mod respond;

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
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
use crate::output::{draw, emit, note};
use crate::page;

use files::Files;
use hosts::Hosts;
use lan::LanAddress;
use respond::Site;

/// How long reads in progress may take at shutdown.
const LAST: Duration = Duration::from_millis(200);

/// Serves until Ctrl-C.
pub(crate) fn serve(args: &ServeArgs) -> Outcome {
    // Before a compilation that may take long.
    let lan = if args.lan { lan::addresses()? } else { Vec::new() };
    let addresses: Vec<IpAddr> = match args.lan {
        true => [IpAddr::V4(Ipv4Addr::LOCALHOST)].into_iter().chain(lan.iter().map(|a| a.ip)).collect(),
        false => vec![args.host],
    };
    let dir = bundle_for(&args.model, &args.flags, COMPACT, Purpose::Browsers)?;
    // A manifest that no browser would accept is reported here, where somebody reads it.
    let bundle = Bundle::open(&dir)?;
    let site = Site {
        hosts: Hosts::new(&addresses, &args.host_name),
        files: Files::below(&dir).map_err(|e| Failure::io(&dir, &e))?,
        isolated: !args.no_isolation,
        shared: args.cors,
    };
    // A single thread: the disk is the bottleneck, and the runtime reads files on threads of its own.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::lacking(format!("the server cannot start: {e}")))?;
    let outcome = runtime.block_on(async {
        let (listeners, port) = listen(&addresses, args.port).await?;
        let mut stopped = on_ctrl_c();
        let shown = SocketAddr::new(lan.first().map_or(args.host, |a| a.ip), port);
        emit(&format!("{}\n", url(shown)))?;
        announce(&bundle, shown, &lan, args);
        let site = Arc::new(site);
        for listener in listeners {
            tokio::spawn(accept(listener, Arc::clone(&site)));
        }
        stopped.recv().await;
        Ok(Exit::Interrupted)
    });
    // A disk that does not respond must not block the program's exit.
    runtime.shutdown_timeout(LAST);
    outcome
}

/// Listens on all addresses, on the same port. If the port is 0, the first address determines it.
async fn listen(addresses: &[IpAddr], port: u16) -> Outcome<(Vec<TcpListener>, u16)> {
    let (mut listeners, mut port) = (Vec::new(), port);
    for ip in addresses {
        let address = SocketAddr::new(*ip, port);
        let listener = TcpListener::bind(address).await.map_err(|e| unavailable(address, &e))?;
        port = listener.local_addr().map_err(|e| unavailable(address, &e))?.port();
        listeners.push(listener);
    }
    Ok((listeners, port))
}

/// Prints everything besides the address itself.
fn announce(bundle: &Bundle, shown: SocketAddr, lan: &[LanAddress], args: &ServeArgs) {
    note(&format!("serving {} until Ctrl-C", bundle.manifest().model.name));
    if !bundle.has("index.html") {
        note(page::MISSING);
    }
    if let Some(code) = qr::code(&url(shown)).filter(|_| args.lan) {
        draw(&code);
    }
    if args.lan {
        note(&format!("on this machine  http://localhost:{}/", shown.port()));
        for LanAddress { ip, interface } in lan {
            note(&format!("in the network   {} ({interface})", url(SocketAddr::new(*ip, shown.port()))));
        }
    }
    if !shown.ip().is_loopback() {
        note(&insecure(shown));
    }
    if args.no_isolation {
        note("note: serving without isolation headers, like hosts that cannot set them; pages use one thread");
    }
}

/// What other devices lack, and the remedies. `docs/hosting.md` says more.
fn insecure(shown: SocketAddr) -> String {
    let port = shown.port();
    let origin = match shown.ip().is_unspecified() {
        true => format!("http://ADDRESS:{port}"),
        false => url(shown).trim_end_matches('/').to_string(),
    };
    format!(
        "note: other devices can open the page, but cannot run the model: browsers offer WebGPU, storage and hashes \
         only to pages from https or localhost. To run it on a phone:\n  \
         Chrome on Android  open chrome://flags/#unsafely-treat-insecure-origin-as-secure, enter {origin}, and \
         relaunch\n  \
         Android by USB     run `adb reverse tcp:{port} tcp:{port}`, and open http://localhost:{port}/ on the phone\n  \
         any phone          put HTTPS in front, for example `cloudflared tunnel --url http://localhost:{port} \
         --http-host-header localhost` (its address is public)"
    )
}

/// The URL for a browser on this machine.
fn url(bound: SocketAddr) -> String {
    match bound.ip() {
        ip if ip.is_unspecified() => format!("http://localhost:{}/", bound.port()),
        IpAddr::V4(ip) => format!("http://{ip}:{}/", bound.port()),
        IpAddr::V6(ip) => format!("http://[{ip}]:{}/", bound.port()),
    }
}

fn unavailable(address: SocketAddr, error: &io::Error) -> Failure {
    let remedy = match error.kind() {
        io::ErrorKind::AddrInUse => "the port is in use; choose another --port, or 0 for any free one",
        io::ErrorKind::PermissionDenied => "ports below 1024 need privileges; choose another --port",
        io::ErrorKind::AddrNotAvailable => "this machine has no such address; choose another --host",
        _ => "choose another --host or --port",
    };
    Failure::lacking(format!("{address}: {error}: {remedy}"))
}

/// A channel that receives Ctrl-C.
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
            // The client has disconnected, or there are too many connections. Keep serving the others.
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let site = Arc::clone(&site);
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let site = Arc::clone(&site);
                async move { Ok::<_, Infallible>(site.respond(&request).await) }
            });
            // Clients disconnect all the time; there is nothing to do about it.
            let _ =
                http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_named_as_browsers_write_them() {
        let told = |text: &str| insecure(text.parse().expect("an address"));
        assert!(told("192.168.1.7:80").contains("enter http://192.168.1.7:80, and"));
        assert!(told("[fd00::1]:8080").contains("enter http://[fd00::1]:8080, and"));
        assert!(told("0.0.0.0:8080").contains("enter http://ADDRESS:8080, and"));
    }

    #[test]
    fn addresses_for_browsers() {
        let url = |text: &str| url(text.parse().expect("an address"));
        assert_eq!(url("127.0.0.1:8080"), "http://127.0.0.1:8080/");
        assert_eq!(url("0.0.0.0:1"), "http://localhost:1/");
        assert_eq!(url("[::1]:80"), "http://[::1]:80/");
    }
}
