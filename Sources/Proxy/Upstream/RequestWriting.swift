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
            if exchange.usesNormalPath {
                output.append(exchange.normalPath)
            } else {
                output.append(bytes, head.path)
            }
            output.append(bytes, head.query)
            output.append(" HTTP/1.1\r\n")
        }
        head.block.write(to: &output)
        for cookie in exchange.keptCookies {
            output.append("Cookie: ")
            output.append(cookie)
            output.append("\r\n")
        }
        if let token = exchange.token, let route = exchange.route {
            IdentityFields.write(token, route: route, to: &output)
        }
        writeForwarded(head, client, scheme, authority, to: &output)
        if head.asksForWebSocket { output.append("Connection: Upgrade\r\nUpgrade: websocket\r\n") }
        output.append(head.framing == .chunked ? "Transfer-Encoding: chunked\r\n\r\n" : "\r\n")
    }

    /// Who asked, and how: what the upstream can no longer see from its own connection.
    private static func writeForwarded(
        _ head: borrowing RequestHead, _ client: [UInt8], _ scheme: [UInt8], _ authority: [UInt8],
        to output: inout ByteBuffer
    ) {
        output.append("X-Forwarded-For: ")
        output.append(client)
        output.append("\r\nX-Forwarded-Proto: ")
        output.append(scheme)
        if head.block.first(.host) == nil {
            // RFC 9112 §3.2: every HTTP/1.1 request has a Host.
            output.append("\r\nHost: ")
            if head.authority.isEmpty {
                output.append(authority)
            } else {
                head.block.withBytes { bytes in output.append(bytes, head.authority) }
            }
        }
        output.append("\r\n")
        if head.authority.isEmpty { return }
        output.append("X-Forwarded-Host: ")
        head.block.withBytes { bytes in output.append(bytes, head.authority) }
        output.append("\r\n")
    }
}
