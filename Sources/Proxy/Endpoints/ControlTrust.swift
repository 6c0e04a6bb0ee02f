// Who may use the control listener. Programs show the secret, or reach it by loopback or a unix socket; a
// browser may look at the status page and do nothing else.

import Configuration
import Crypto
import HTTP
import Network
import Primitives

/// Judges who asks the control listener.
enum ControlTrust {
    /// Whether a request may call the control API; if not, it has been told so.
    static func mayCall(_ connection: DownstreamConnection) -> Bool {
        guard let control = connection.shard.runtime.configuration.control else { return false }
        if let secret = control.secret {
            if shows(Array("Bearer \(secret.revealed)".utf8), connection) { return true }
            connection.exchange.reason = "control_secret"
            connection.respond(.refusal(.noCredential))
            return false
        }
        // Who may open a unix socket, the rights of its file say; no page can.
        if connection.peer.family == .unix { return true }
        // Without a secret, loopback is the fence. A page in a browser on this machine can reach over it:
        // such requests carry an Origin or Sec-Fetch-Site, or (DNS rebinding) a host name that is not ours.
        let isBrowser =
            connection.head.block.first(.origin) != nil || connection.head.block.first(.secFetchSite) != nil
        return isBrowser || !namesLoopback(connection) ? refuseBrowser(connection) : true
    }

    /// Whether a request may look at the status page, which changes nothing. A person's browser may, too: by
    /// an address that was typed, and with the secret as the password of RFC 7617. What a page of another
    /// site asks for, it may not, although it could not read the answer.
    static func mayView(_ connection: DownstreamConnection) -> Bool {
        guard let control = connection.shard.runtime.configuration.control else { return false }
        if let site = connection.head.block.text(.secFetchSite), site != "none", site != "same-origin" {
            return refuseBrowser(connection)
        }
        if connection.head.block.first(.origin) != nil { return refuseBrowser(connection) }
        if let secret = control.secret {
            if shows(Array("Bearer \(secret.revealed)".utf8), connection) { return true }
            if showsPassword(secret.revealed, connection) { return true }
            connection.exchange.reason = "control_secret"
            var refusal = LocalResponse.refusal(.noCredential)
            refusal.fields.append(("WWW-Authenticate", "Basic realm=\"auth-gateway\", charset=\"UTF-8\""))
            connection.respond(refusal)
            return false
        }
        return connection.peer.family == .unix || namesLoopback(connection)
            ? true : refuseBrowser(connection)
    }

    private static func refuseBrowser(_ connection: DownstreamConnection) -> Bool {
        connection.exchange.reason = "control_origin"
        connection.respond(
            .problem(
                403, code: "control_origin", detail: "The control API is not for pages in browsers"))
        return false
    }

    private static func shows(_ expected: [UInt8], _ connection: DownstreamConnection) -> Bool {
        let presented = Array((connection.head.block.text(.authorization) ?? "").utf8)
        return ConstantTime.equal(presented.span, expected.span)
    }

    /// RFC 7617 §2: the base64 of `user:password`. Whoever the user is.
    private static func showsPassword(_ secret: String, _ connection: DownstreamConnection) -> Bool {
        let presented = connection.head.block.text(.authorization) ?? ""
        guard presented.utf8.count <= passwordBytesMax, presented.lowercased().hasPrefix("basic ") else {
            return false
        }
        let spelled = presented.utf8.dropFirst(6).filter { $0 != UInt8(ascii: "=") }.map { byte in
            switch byte {
            case UInt8(ascii: "+"): UInt8(ascii: "-")
            case UInt8(ascii: "/"): UInt8(ascii: "_")
            default: byte
            }
        }
        guard let pair = Base64URL.decode(spelled.span), let colon = pair.firstIndex(of: UInt8(ascii: ":"))
        else { return false }
        let password = Array(pair[(colon + 1)...])
        let expected = Array(secret.utf8)
        return ConstantTime.equal(password.span, expected.span)
    }

    private static func namesLoopback(_ connection: DownstreamConnection) -> Bool {
        let authority = connection.head.block.withBytes { bytes in
            String(lossy: bytes.extracting(connection.head.authority.offsets)).lowercased()
        }
        if authority.hasPrefix("[") { return authority == "[::1]" || authority.hasPrefix("[::1]:") }
        let host = authority.prefix { $0 != ":" }
        if host == "localhost" { return true }
        // A name that begins like an address is a name all the same: `127.evil.example`.
        guard let address = SocketAddress(host: String(host), port: 0) else { return false }
        return address.family == .v4 && address.bytes.first == 127
    }

    private static let passwordBytesMax = 4096
}
