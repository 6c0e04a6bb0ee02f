// Calls of the control API from the command line: one request, one connection.

import Configuration
import Network
import Primitives

/// The control listener of a running gateway.
struct ControlClient {
    typealias Problem = StateDirectory.Problem

    private let address: SocketAddress
    private let secret: String?

    /// nil: the configuration has no control listener.
    init?(_ configuration: GatewayConfiguration) {
        guard let control = configuration.control else { return nil }
        let address =
            switch control.address {
            case .ip(let host, let port): SocketAddress(host: host, port: port)
            case .unix(let path): SocketAddress(unixPath: path)
            }
        guard let address else { return nil }
        self.address = address
        secret = control.secret?.revealed
    }

    /// A status and a body; nil when no gateway listens there.
    func ask(_ method: String, _ target: String) throws(Problem) -> (status: Int, body: [UInt8])? {
        var head = "\(method) \(target) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        if let secret { head += "Authorization: Bearer \(secret)\r\n" }
        if method == "POST" { head += "Content-Length: 0\r\n" }
        let answer: [UInt8]
        do throws(SystemError) {
            answer = try BlockingExchange.ask(address, Array("\(head)\r\n".utf8), seconds: Self.seconds)
        } catch {
            if error.isNotFound || error.isRefusal { return nil }
            throw Problem(reason: "the control listener at \(address) does not answer: \(error.reason)")
        }
        guard let reply = Self.parse(answer) else {
            throw Problem(reason: "what listens at \(address) is no gateway")
        }
        if reply.status == 401 || reply.status == 403 {
            throw Problem(reason: "the control listener at \(address) lets nobody in without its secret")
        }
        return reply
    }

    /// The status and the body of an answer that ends with its connection.
    private static func parse(_ answer: [UInt8]) -> (status: Int, body: [UInt8])? {
        let (head, end) = (Array("HTTP/1.1 ".utf8), Array("\r\n\r\n".utf8))
        guard answer.starts(with: head), answer.count > head.count + 3,
            let status = Int(String(decoding: answer[head.count..<(head.count + 3)], as: UTF8.self)),
            let gap = answer.indices.first(where: { answer[$0...].starts(with: end) })
        else { return nil }
        return (status, Array(answer[(gap + end.count)...]))
    }

    /// A backup of ten million sessions takes a while.
    private static let seconds: Int32 = 3600
}
