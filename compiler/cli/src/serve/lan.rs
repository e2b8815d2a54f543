//! The addresses of this machine on its local network.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

use if_addrs::{IfOperStatus, Interface};

use crate::failure::{Failure, Outcome};

/// An address at which other devices on the network can reach this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LanAddress {
    pub(super) ip: IpAddr,
    /// The name of the interface.
    pub(super) interface: String,
}

/// All addresses, the most likely one first.
///
/// # Errors
///
/// If this machine is on no network, or its interfaces cannot be listed.
pub(super) fn addresses() -> Outcome<Vec<LanAddress>> {
    let interfaces = if_addrs::get_if_addrs()
        .map_err(|e| Failure::lacking(format!("--lan: cannot list the network interfaces: {e}")))?;
    let found = choose(&interfaces, outgoing().ok());
    if found.is_empty() {
        return Err(Failure::lacking(
            "--lan: this machine has no network address; connect it to a network, or remove --lan",
        ));
    }
    Ok(found)
}

/// The source address of packets to other networks. Connecting a UDP socket looks up the route and sends nothing.
fn outgoing() -> io::Result<IpAddr> {
    /// Reserved for documentation (RFC 5737), so it belongs to nobody.
    const ELSEWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1)), 9);
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.connect(ELSEWHERE)?;
    Ok(socket.local_addr()?.ip())
}

/// The addresses to serve. IPv6 is only used without IPv4: every device on a local network has IPv4, and an interface
/// may have many IPv6 addresses, some of them short-lived.
fn choose(interfaces: &[Interface], outgoing: Option<IpAddr>) -> Vec<LanAddress> {
    let is_down = |i: &Interface| matches!(i.oper_status, IfOperStatus::Down | IfOperStatus::LowerLayerDown);
    let mut usable: Vec<&Interface> =
        interfaces.iter().filter(|i| !i.is_loopback() && !i.is_link_local() && !is_down(i)).collect();
    if usable.iter().any(|i| i.ip().is_ipv4()) {
        usable.retain(|i| i.ip().is_ipv4());
    }
    // A tunnel may be the route to all other networks, but it leads away from this one.
    usable.sort_by_key(|i| (i.is_p2p(), Some(i.ip()) != outgoing, !is_private(i.ip())));
    let mut found: Vec<LanAddress> = Vec::new();
    for interface in usable {
        if found.iter().all(|f| f.ip != interface.ip()) {
            found.push(LanAddress { ip: interface.ip(), interface: interface.name.clone() });
        }
    }
    found
}

/// Whether the address is only valid within its own network.
fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_private(),
        IpAddr::V6(ip) => ip.is_unique_local(),
    }
}

#[cfg(test)]
mod tests {
    use if_addrs::{IfAddr, Ifv4Addr, Ifv6Addr};

    use super::*;

    fn interface(name: &str, ip: &str) -> Interface {
        let addr = match ip.parse().expect("an address") {
            IpAddr::V4(ip) => {
                IfAddr::V4(Ifv4Addr { ip, netmask: Ipv4Addr::UNSPECIFIED, prefixlen: 24, broadcast: None })
            }
            IpAddr::V6(ip) => IfAddr::V6(Ifv6Addr { ip, netmask: ip, prefixlen: 64, broadcast: None }),
        };
        Interface {
            name: name.into(),
            addr,
            index: None,
            oper_status: IfOperStatus::Up,
            is_p2p: name.starts_with("tun"),
            #[cfg(windows)]
            adapter_name: String::new(),
        }
    }

    fn chosen(interfaces: &[Interface], outgoing: &str) -> Vec<String> {
        choose(interfaces, outgoing.parse().ok()).into_iter().map(|a| format!("{} {}", a.ip, a.interface)).collect()
    }

    #[test]
    fn the_likeliest_address_is_first() {
        let mut unplugged = interface("eth1", "10.9.9.9");
        unplugged.oper_status = IfOperStatus::Down;
        let all = [
            interface("lo", "127.0.0.1"),
            unplugged,
            interface("tun0", "10.8.0.2"),
            interface("eth2", "169.254.1.1"),
            interface("bridge0", "172.17.0.1"),
            interface("wlan0", "192.168.1.7"),
            interface("wlan0", "fd00::7"),
            interface("wlan0", "fe80::7"),
            interface("cable", "8.8.4.4"),
        ];
        let expected = ["192.168.1.7 wlan0", "172.17.0.1 bridge0", "8.8.4.4 cable", "10.8.0.2 tun0"];
        assert_eq!(chosen(&all, "192.168.1.7"), expected);
        assert_eq!(
            chosen(&all, "10.8.0.2"),
            ["172.17.0.1 bridge0", "192.168.1.7 wlan0", "8.8.4.4 cable", "10.8.0.2 tun0"]
        );
        assert_eq!(chosen(&all, "no route")[0], "172.17.0.1 bridge0");
    }

    #[test]
    fn networks_without_ipv4_are_served() {
        let all = [
            interface("lo", "::1"),
            interface("eth0", "fe80::1"),
            interface("eth0", "2001:db8::1"),
            interface("eth0", "fd00::1"),
            interface("eth0", "fd00::1"),
        ];
        assert_eq!(chosen(&all, "no route"), ["fd00::1 eth0", "2001:db8::1 eth0"]);
    }

    #[test]
    fn a_machine_in_no_network_has_none() {
        assert!(chosen(&[interface("lo", "127.0.0.1"), interface("eth0", "169.254.3.4")], "no route").is_empty());
    }
}
