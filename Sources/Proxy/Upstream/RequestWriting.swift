// The request as the upstream gets it: the client's head with what must not pass taken out, and what only the
// gateway can say put in. The path is the one that was matched; the framing is ours.

import Configuration
import HTTP
import Primitives
import TLS

/// Edits and serialises a request head.
enum RequestWriting {
    /// Takes out of the head what does not pass: hop-by-hop fields, forged identity, our credentials. Once
    /// per exchange, before it is written, maybe twice.
    static func prepare(_ block: inout HeaderBlock, exchange: Exchange, policy: RequestPolicy) {
        Persistence.removeHopByHop(&block)
        IdentityFields.strip(&block, policy: policy)
        if exchange.maxForwards != nil { block.remove(MaxForwards.fields) }
        for name in exchange.route?.removedNames ?? [] { block.removeFolded(name) }
        exchange.keptCookies = IdentityFields.stripCredentials(
            &block, exchange.passage, names: policy.cookieNames)
    }

    /// Writes the whole head.
    static func write(
        _ head: borrowing RequestHead, exchange: Exchange, peer: [UInt8], scheme: PublicURL.Scheme,
        certificate: PeerIdentity?,
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
            // What the client says under that name itself goes first, and what the route sets goes foremost.
            if case .asBearer = exchange.passage, !route.setsAuthorization,
                head.block.first(.authorization) == nil
            {
                output.append("Authorization: Bearer ")
                output.append(exchange.memo.bytes)
                output.append("\r\n")
            }
            if let certificate { IdentityFields.write(certificate, to: &output) }
            if !route.forwardedPrefix.isEmpty {
                output.append("X-Forwarded-Prefix: ")
                output.append(route.forwardedPrefix)
                output.append("\r\n")
            }
        }
        exchange.forwarded.write(
            head.block, peer: peer, connectionScheme: scheme, authority: head.authority, to: &output)
        Via.write(head.version, to: &output)
        if exchange.route?.setsHost != true { writeHost(head, authority, to: &output) }
        if head.asksForWebSocket {
            output.append("Connection: Upgrade\r\nUpgrade: websocket\r\n")
        } else if exchange.wantsTrailers {
            // RFC 9110 §10.1.4: "A sender of TE MUST also send a "TE" connection option".
            output.append("Connection: TE\r\nTE: trailers\r\n")
        }
        if let forwards = exchange.maxForwards {
            output.append("Max-Forwards: ")
            output.append(decimal: forwards)
            output.append("\r\n")
        }
        exchange.requestID.writeLine(head.block, to: &output)
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
}

/// RFC 9110 §7.6.3: "A gateway MUST send an appropriate Via header field in each inbound request message that
/// it forwards". Responses carry none, which the section leaves to the gateway: clients learn nothing of it.
enum Via {
    /// Adds this gateway; what the request has been through before stands in lines of its own.
    static func write(_ version: Version, to output: inout ByteBuffer) {
        output.append(version == .http10 ? "Via: 1.0 auth-gateway\r\n" : "Via: 1.1 auth-gateway\r\n")
    }

    /// Whether a request goes round: one gateway behind another is common, and ten of them are a mistake.
    static func isLoop(_ head: borrowing RequestHead) -> Bool {
        if head.block.first(.via) == nil { return false }
        return head.block.withBytes { bytes in
            var count = 0
            for field in head.block.fields where field.known == .via {
                var index = field.value.start
                while index + name.utf8CodeUnitCount <= field.value.end {
                    if bytes.extracting(index..<index + name.utf8CodeUnitCount).equals(name) { count += 1 }
                    index += 1
                }
            }
            return count >= passesMax
        }
    }

    private static let name: StaticString = "auth-gateway"
    private static let passesMax = 10
}

/// RFC 9110 §7.6.2: how far an OPTIONS request may go. "If the received value is zero (0), the intermediary
/// MUST NOT forward the request; instead, the intermediary MUST respond as the final recipient"; else it
/// forwards the value less one.
enum MaxForwards {
    static let fields = FieldNameSet([.maxForwards])

    /// nil: another method, for which the field means nothing, or no number.
    static func read(_ head: borrowing RequestHead) -> UInt64? {
        guard head.method == .options, let index = head.block.first(.maxForwards) else { return nil }
        let value = head.block.fields[index].value
        if value.isEmpty || value.count > 18 { return nil }
        return head.block.withBytes { bytes in
            var number: UInt64 = 0
            for position in value.offsets {
                guard ASCII.isDigit(bytes[position]) else { return nil }
                number = number * 10 + UInt64(bytes[position] - 48)
            }
            return number
        }
    }
}
