// A call of the running gateway's control API from another process on this machine: what the commands of the
// command line are carried out by.
//
// Blocks its caller; a loop of its own, on a queue of its own, does the work. The answer crosses over in a
// lock.

package import Configuration
import Dispatch
package import Network
import Primitives
import Synchronization

/// Calls a control listener.
package enum ControlRequest {
    /// What came back.
    package struct Answer: Sendable {
        package let status: Int
        package let body: [UInt8]
    }

    /// Calls, and waits for the answer.
    ///
    /// - Parameters:
    ///   - json: the body; nil for none.
    ///   - seconds: how long the answer may take.
    /// - Returns: nil where nobody listens.
    /// - Throws: why there is no answer from whoever listens there.
    package static func call(
        _ control: ControlConfiguration, _ method: StaticString, _ path: String, json: [UInt8]? = nil,
        seconds: Int64 = 10
    ) throws(RuntimeError) -> Answer? {
        var fields: [UInt8] = []
        if let secret = control.secret {
            fields += Array("Authorization: Bearer \(secret.revealed)\r\n".utf8)
        }
        if json != nil { fields += Array("Content-Type: application/json\r\n".utf8) }
        let request = Fetch.request(
            method, path, authority: Array("localhost".utf8), agent: "auth-gateway", fields: fields,
            body: json ?? [])
        let address = try address(of: control.address)
        let result = Mutex<Result<Answer?, RuntimeError>>(.failure(RuntimeError(reason: "no answer")))
        let done = DispatchSemaphore(value: 0)
        let queue = DispatchQueue(label: "control-client", qos: .default)
        queue.async {
            ask(address, request, seconds, queue) { answer in
                result.withLock { $0 = answer }
                done.signal()
            }
        }
        done.wait()
        return try result.withLock { $0 }.get()
    }

    private static func ask(
        _ address: SocketAddress, _ request: [UInt8], _ seconds: Int64, _ queue: DispatchQueue,
        _ done: @escaping @Sendable (Result<Answer?, RuntimeError>) -> Void
    ) {
        do throws(SystemError) {
            let loop = try EventLoop(queue: queue)
            let fetch = Fetch(
                try Transport.connecting(to: address), request: request,
                part: .whole(bytesMax: answerBytesMax),
                timeoutMilliseconds: seconds * 1000, loop: loop
            ) { outcome in
                // The loop lives as long as this closure does: until there is an outcome.
                withExtendedLifetime(loop) {
                    switch outcome {
                    case .answered(let answer):
                        done(.success(Answer(status: answer.status, body: answer.body)))
                    case .unreachable: done(.success(nil))
                    case .failed(let reason):
                        let words = "the control listener at \(address) does not answer: \(reason)"
                        done(.failure(RuntimeError(reason: words)))
                    }
                    loop.stop()
                }
            }
            loop.start(onMessages: {})
            try fetch.start()
        } catch {
            let isAbsent = error.isNotFound || error.isRefusal
            let words = "the control listener at \(address) cannot be called: \(error.reason)"
            done(isAbsent ? .success(nil) : .failure(RuntimeError(reason: words)))
        }
    }

    /// Who listens everywhere is reached on this machine.
    package static func address(of configured: ListenAddress) throws(RuntimeError) -> SocketAddress {
        let address: SocketAddress?
        switch configured {
        case .ip("0.0.0.0", let port): address = SocketAddress(host: "127.0.0.1", port: port)
        case .ip("::", let port): address = SocketAddress(host: "::1", port: port)
        case .ip(let host, let port): address = SocketAddress(host: host, port: port)
        case .unix(let path): address = SocketAddress(unixPath: path)
        }
        guard let address else { throw RuntimeError(reason: "the control listener has no address to call") }
        return address
    }

    private static let answerBytesMax = 64 * 1024 * 1024
}
