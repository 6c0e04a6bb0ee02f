// Whose word about clients is believed: the ranges of `trusted_proxies`. Nobody's by default, for what a
// stranger says of himself (CVE-2022-31813 and its kin) is worth nothing.

import Configuration
import Network
import Primitives

/// The addresses of the proxies in front of us.
struct TrustedProxies: Sendable {
    private struct Range: Sendable {
        let address: IPAddress
        /// Of the 128 bits of an address in IPv6.
        let bits: Int
    }

    private let ranges: [Range]

    init(ranges: [AddressRange]) {
        self.ranges = ranges.compactMap { range in
            guard let address = IPAddress(bytes: range.bytes.span) else { return nil }
            return Range(address: address, bits: range.prefixBits + (range.bytes.count == 4 ? 96 : 0))
        }
    }

    /// Asked once per connection: its peer does not change.
    func contains(_ peer: SocketAddress) -> Bool {
        if ranges.isEmpty { return false }
        return IPAddress(bytes: peer.bytes.span).map(contains) ?? false
    }

    /// An IPv4 address is in IPv4 ranges only, in whatever clothes: `::/0` says nothing about it.
    func contains(_ address: IPAddress) -> Bool {
        let bitsMin = address.isV4 ? 96 : 0
        return ranges.contains { $0.bits >= bitsMin && $0.address.sharesPrefix(of: address, bits: $0.bits) }
    }
}
