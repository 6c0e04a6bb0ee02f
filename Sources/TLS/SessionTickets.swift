// Session tickets (RFC 5077, RFC 8446 §4.6.1): what a client brings along so that its next handshake costs no
// signature. The server keeps nothing; whoever knows the keys can read the tickets.
//
// The keys come from outside, so that every shard, every process and the next configuration know the same
// ones. The newest encrypts; the others still decrypt, and what they decrypt is renewed.

internal import COpenSSL

/// One key of session tickets.
package struct TicketKey: Sendable, Equatable {
    let name: [UInt8]
    let cipherKey: [UInt8]
    let macKey: [UInt8]

    /// A name, a key for AES-256 and a key for HMAC-SHA-256, one after the other.
    package static let byteCount = nameBytes + 32 + 32

    /// The key of these bytes, which are random; nil for any other count than `byteCount`.
    package init?(bytes: [UInt8]) {
        guard bytes.count == Self.byteCount else { return nil }
        name = Array(bytes[..<nameBytes])
        cipherKey = Array(bytes[nameBytes..<nameBytes + 32])
        macKey = Array(bytes[(nameBytes + 32)...])
    }
}

extension TicketKey: CustomStringConvertible {
    /// Says nothing of the key.
    package var description: String { "TicketKey" }
}

/// The keys, as OpenSSL asks for them.
final class TicketKeyRing: Sendable {
    private let keys: [TicketKey]

    init(_ keys: [TicketKey]) { self.keys = keys }

    var isEmpty: Bool { keys.isEmpty }

    /// Prepares encrypting with the newest key. 1: done; -1: not.
    func seal(
        _ name: UnsafeMutablePointer<UInt8>, _ vector: UnsafeMutablePointer<UInt8>, _ cipher: OpaquePointer,
        _ mac: OpaquePointer
    ) -> CInt {
        guard let key = keys.first, unsafe RAND_bytes(vector, CInt(vectorBytes)) == 1 else { return -1 }
        for (index, byte) in key.name.enumerated() { unsafe name[index] = byte }
        let isKeyed =
            unsafe EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), nil, key.cipherKey, vector) == 1
            && keyed(mac, key)
        return isKeyed ? 1 : -1
    }

    /// Prepares decrypting with the key of that name. 0: there is none, so the handshake is a full one; 1:
    /// done; 2: done, and the client gets a new ticket.
    func open(
        _ name: UnsafeMutablePointer<UInt8>, _ vector: UnsafeMutablePointer<UInt8>, _ cipher: OpaquePointer,
        _ mac: OpaquePointer, renews: Bool
    ) -> CInt {
        // Names are public: they stand in the ticket as they are.
        let wanted = unsafe Array(UnsafeBufferPointer(start: name, count: nameBytes))
        guard let index = keys.firstIndex(where: { $0.name == wanted }) else { return 0 }
        guard unsafe EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), nil, keys[index].cipherKey, vector) == 1,
            unsafe keyed(mac, keys[index])
        else { return -1 }
        return index > 0 || renews ? 2 : 1
    }

    private func keyed(_ mac: OpaquePointer, _ key: TicketKey) -> Bool {
        var macKey = key.macKey
        return unsafe gateway_tls_key_ticket_mac(mac, &macKey, macKey.count) == 1
    }
}

/// Has the keys of `ring` used by `settings`. The ring is kept alive by the `ServerTLS` that owns both, and
/// that by each of its sessions.
func install(_ ring: TicketKeyRing, in settings: Settings) {
    guard !ring.isEmpty else {
        unsafe gateway_tls_refuse_tickets(settings.handle)
        return
    }
    // One for each handshake: a browser's many connections each get their own (RFC 8446 §C.4 wants a ticket
    // used once), and a client that opens one needs no two.
    unsafe SSL_CTX_set_num_tickets(settings.handle, 1)
    unsafe SSL_CTX_set_timeout(settings.handle, ticketSeconds)
    unsafe SSL_CTX_set_ex_data(settings.handle, 0, Unmanaged.passUnretained(ring).toOpaque())
    unsafe SSL_CTX_set_tlsext_ticket_key_evp_cb(settings.handle) {
        session, name, vector, cipher, mac, seals in
        guard let session = unsafe session, let name = unsafe name, let vector = unsafe vector,
            let cipher = unsafe cipher, let mac = unsafe mac,
            let pointer = unsafe SSL_CTX_get_ex_data(SSL_get_SSL_CTX(session), 0)
        else { return -1 }
        let ring = unsafe Unmanaged<TicketKeyRing>.fromOpaque(pointer).takeUnretainedValue()
        if seals == 1 { return unsafe ring.seal(name, vector, cipher, mac) }
        // RFC 8446 §C.4: "clients SHOULD NOT reuse a ticket for multiple connections", so each use of one
        // brings another.
        let renews = unsafe SSL_version(session) == TLS1_3_VERSION
        return unsafe ring.open(name, vector, cipher, mac, renews: renews)
    }
}

private let nameBytes = 16
private let vectorBytes = 16
/// How long a ticket is good: a client's certificate is not looked at again before.
private let ticketSeconds = 2 * 3600
