// `auth-gateway healthcheck`: whether the gateway of a configuration serves, for containers that have no
// curl.

import Configuration
import Network
import Primitives

/// A request of `auth-gateway healthcheck`.
struct HealthcheckRequest: Equatable {
    /// Whether it answers at all, not whether it is ready.
    let isLive: Bool
    let isJSON: Bool
}

/// Asks the running gateway how it is.
enum HealthcheckCommand {
    static func run(_ request: HealthcheckRequest, configuration path: String) -> ExitCode {
        // A mistake in a file that nobody has loaded yet says nothing of the gateway that runs.
        let reach = ConfigurationLoader.load(path: path, files: SystemFiles()).reach
        if request.isLive, isLive(in: reach.stateDirectory) {
            Console.print(request.isJSON ? json(isHealthy: true) : "live")
            return .success
        }
        do throws(ControlClient.Problem) {
            return try ask(request, reach.control)
        } catch {
            if request.isJSON {
                Console.print(json(isHealthy: false, reason: error.reason))
            } else {
                Console.error("auth-gateway: \(error.reason)")
            }
            return .failure
        }
    }

    /// Whether the gateway answers on its own socket, by way of every worker: also where its control listener
    /// is another one than the file says by now.
    private static func isLive(in directory: String) -> Bool {
        do throws(SystemError) {
            let path = StateDirectory.socketPath(in: directory)
            let stream = try LocalStream(connectingTo: path, seconds: liveSeconds)
            try stream.send("live")
            return try stream.receive() == .line("live")
        } catch {
            return false
        }
    }

    private static func ask(
        _ request: HealthcheckRequest, _ control: ControlConfiguration?
    ) throws(ControlClient.Problem) -> ExitCode {
        guard let control = control.map(ControlClient.init) else {
            throw ControlClient.Problem(
                reason: "the configuration has no control listener to ask: see 'control'")
        }
        guard let answer = try control.ask("GET", request.isLive ? "/livez" : "/readyz") else {
            throw ControlClient.Problem(reason: "nobody answers at \(control.address)")
        }
        let text = String(decoding: answer.body, as: UTF8.self)
        let isHealthy = answer.status == 200
        if request.isJSON {
            Console.print(json(isHealthy: isHealthy, status: answer.status, body: answer.body))
        } else if isHealthy {
            Console.print(text)
        } else {
            Console.error("auth-gateway: \(answer.status): \(text)")
        }
        return isHealthy ? .success : .failure
    }

    private static let liveSeconds = 5

    private static func json(
        isHealthy: Bool, status: Int? = nil, body: [UInt8] = [], reason: String? = nil
    ) -> String {
        var writer = JSONWriter()
        writer.beginObject()
        writer.boolean("healthy", isHealthy)
        if let status { writer.number("status", Int64(status)) }
        if let document = try? JSONDocument(parsing: body), document.root.kind == .object {
            writer.json("answer", document.root.text)
        }
        if let reason { writer.string("reason", reason) }
        writer.endObject()
        return String(decoding: writer.bytes, as: UTF8.self)
    }
}
