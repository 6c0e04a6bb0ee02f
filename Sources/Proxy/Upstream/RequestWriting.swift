// The request as the upstream gets it: the client's head with what must not pass taken out, and what only the
// gateway can say put in. The path is the one that was matched; the framing is ours.

import HTTP
import Primitives

/// Edits and serialises a request head.
enum RequestWriting {
    /// Takes out of the head what does not pass: hop-by-hop fields, forged identity, our credentials. Once
    /// per exchange, before it is written, maybe twice.
    static func prepare(_ block: inout HeaderBlock, exchange: Exchange, runtime: GatewayRuntime) {
        Persistence.removeHopByHop(&block)
        IdentityFields.strip(&block, runtime: runtime)
        for name in exchange.route?.removedNames ?? [] { block.removeFolded(name) }
        exchange.keptCookies = IdentityFields.stripCredentials(
            &block, bearerIsOurs: exchange.bearerIsOurs, names: runtime.cookieNames)
    }

    /// Writes the whole head.
    static func write(
        _ head: borrowing RequestHead, exchange: Exchange, client: [UInt8], scheme: [UInt8],
        authority: [UInt8], to output: inout ByteBuffer
    ) {
        head.block.withBytes { bytes in
            output.append(bytes, head.methodRange)
            output.append(" ")
            writePath(bytes, head.path, exchange, to: &output)
            output.append(bytes, head.query)
            output.append(" HTTP/1.1\r\n")
        }
        head.block.write(to: &output)
        for cookie in exchange.keptCookies {
            output.append("Cookie: ")
            output.append(cookie)
            output.append("\r\n")
        }
        if let route = exchange.route {
            if let token = exchange.token { IdentityFields.write(token, route: route, to: &output) }
            output.append(route.setLines)
        }
        writeForwarded(head, client, scheme, to: &output)
        if exchange.route?.setsHost != true { writeHost(head, authority, to: &output) }
        if head.asksForWebSocket { output.append("Connection: Upgrade\r\nUpgrade: websocket\r\n") }
        output.append(head.framing == .chunked ? "Transfer-Encoding: chunked\r\n\r\n" : "\r\n")
    }

    /// The path that was matched, without the prefix of a route that strips it.
    private static func writePath(
        _ bytes: Span<UInt8>, _ path: ByteRange, _ exchange: Exchange, to output: inout ByteBuffer
    ) {
        let stripped = exchange.route?.strippedBytes ?? 0
        let count = exchange.usesNormalPath ? exchange.normalPath.count : path.count
        if stripped == count {
            output.append("/")
        } else if exchange.usesNormalPath {
            let path = exchange.normalPath
            output.append(path.span, ByteRange(stripped, count))
        } else {
            output.append(bytes, ByteRange(path.start + stripped, path.end))
        }
    }

    /// RFC 9112 §3.2: every HTTP/1.1 request has a Host; one of HTTP/1.0 may have none.
    private static func writeHost(
        _ head: borrowing RequestHead, _ authority: [UInt8], to output: inout ByteBuffer
    ) {
        if head.block.first(.host) != nil { return }
        output.append("Host: ")
        if head.authority.isEmpty {
            output.append(authority)
        } else {
            head.block.withBytes { bytes in output.append(bytes, head.authority) }
        }
        output.append("\r\n")
    }

    /// Who asked, and how: what the upstream can no longer see from its own connection.
    private static func writeForwarded(
        _ head: borrowing RequestHead, _ client: [UInt8], _ scheme: [UInt8], to output: inout ByteBuffer
    ) {
        output.append("X-Forwarded-For: ")
        output.append(client)
        output.append("\r\nX-Forwarded-Proto: ")
        output.append(scheme)
        output.append("\r\n")
        if head.authority.isEmpty { return }
        output.append("X-Forwarded-Host: ")
        head.block.withBytes { bytes in output.append(bytes, head.authority) }
        output.append("\r\n")
    }
}
