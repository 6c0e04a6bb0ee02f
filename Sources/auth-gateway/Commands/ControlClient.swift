// Calls of the control API from the command line.

import Configuration
import Network
import Proxy

/// The control listener of a running gateway.
struct ControlClient {
    typealias Problem = StateDirectory.Problem

    private let control: ControlConfiguration

    init(_ control: ControlConfiguration) { self.control = control }

    /// nil: the configuration has no control listener.
    init?(_ configuration: GatewayConfiguration) {
        guard let control = configuration.control else { return nil }
        self.control = control
    }

    /// Where it listens, for messages.
    var address: String { (try? ControlRequest.address(of: control.address))?.description ?? "nowhere" }

    /// A status and a body; nil when no gateway listens there.
    ///
    /// - Parameter json: the body of the request; nil for none.
    func ask(
        _ method: StaticString, _ target: String, json: [UInt8]? = nil
    ) throws(Problem) -> (status: Int, body: [UInt8])? {
        let answer: ControlRequest.Answer?
        do throws(RuntimeError) {
            answer = try ControlRequest.call(
                control, method, target, json: json,
                seconds: target == "/backup" ? Self.copySeconds : Self.seconds)
        } catch {
            throw Problem(reason: error.reason)
        }
        guard let answer else { return nil }
        if answer.status == 401 || answer.status == 403 {
            throw Problem(reason: "the control listener at \(address) lets nobody in without its secret")
        }
        return (answer.status, answer.body)
    }

    private static let seconds: Int64 = 30
    /// A backup of ten million sessions takes a while.
    private static let copySeconds: Int64 = 3600
}
