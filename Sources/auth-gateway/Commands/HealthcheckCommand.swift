// `auth-gateway healthcheck`: whether the gateway of a configuration serves, for containers that have no
// curl.

import Configuration
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
        guard let configuration = CheckCommand.configuration(at: path) else { return .configuration }
        do throws(ControlClient.Problem) {
            guard let control = ControlClient(configuration) else {
                throw ControlClient.Problem(
                    reason: "the configuration has no control listener to ask: see 'control'")
            }
            guard let answer = try control.ask("GET", request.isLive ? "/healthz" : "/readyz") else {
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
        } catch {
            if request.isJSON {
                Console.print(json(isHealthy: false, reason: error.reason))
            } else {
                Console.error("auth-gateway: \(error.reason)")
            }
            return .failure
        }
    }

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
