// The request as the upstream gets it: the client's head with what must not pass taken out, and what only the gateway
// can say put in. The path is the one that was matched; the framing is ours.

import HTTP
import Primitives

/// Edits and serialises a request head.
enum RequestWriting {
    /// Takes out of the head what does not pass: hop-by-hop fields, forged identity, our credentials. Once per
    /// exchange, before it is written, maybe twice.
    static func prepare(_ downstream: DownstreamConnection) {
        let runtime = downstream.shard.runtime
        let exchange = downstream.exchange
        Persistence.removeHopByHop(&downstream.head.block)
        IdentityFields.strip(&downstream.head.block, runtime: runtime)
        exchange.keptCookies = IdentityFields.stripCredentials(
            &downstream.head.block, bearerWasOurs: exchange.token != nil, names: runtime.cookieNames)
    }

    /// Writes the whole head.
    static func write(_ downstream: DownstreamConnection, target: UpstreamTarget, to output: inout ByteBuffer)
    {
        let exchange = downstream.exchange
        downstream.head.block.withBytes { bytes in
            output.append(bytes, downstream.head.methodRange)
            output.append(" ")
            if exchange.usesNormalPath {
                output.append(exchange.normalPath)
            } else {
                output.append(bytes, downstream.head.path)
            }
            output.append(bytes, downstream.head.query)
            output.append(" HTTP/1.1\r\n")
        }
        downstream.head.block.write(to: &output)
        for cookie in exchange.keptCookies {
            output.append("Cookie: ")
            output.append(cookie)
            output.append("\r\n")
        }
        if let token = exchange.token, let route = exchange.route {
            IdentityFields.write(token, route: route, to: &output)
        }
        writeForwarded(downstream, target, to: &output)
        if downstream.head.framing == .chunked { output.append("Transfer-Encoding: chunked\r\n") }
        output.append("\r\n")
    }

    /// Who asked, and how: what the upstream can no longer see from its own connection.
    private static func writeForwarded(
        _ downstream: DownstreamConnection, _ target: UpstreamTarget, to output: inout ByteBuffer
    ) {
        output.append("X-Forwarded-For: ")
        output.append(downstream.clientText)
        output.append("\r\nX-Forwarded-Proto: http\r\n")
        let authority = downstream.head.authority
        if authority.isEmpty {
            // RFC 9112 §3.2: every HTTP/1.1 request has a Host.
            output.append("Host: ")
            output.append(target.authority)
            output.append("\r\n")
            return
        }
        output.append("X-Forwarded-Host: ")
        downstream.head.block.withBytes { bytes in output.append(bytes, authority) }
        output.append("\r\n")
    }
}
