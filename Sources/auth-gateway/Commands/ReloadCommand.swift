// `auth-gateway reload`: has the running gateway read its configuration again, and says how that went.

import Configuration
import Network
import Primitives

/// Reloads the running gateway.
enum ReloadCommand {
    static func run(configuration path: String, isJSON: Bool) -> ExitCode {
        let loaded = ConfigurationLoader.load(path: path, files: SystemFiles())
        // The gateway judges for itself, counts what it refuses, and says it in its own log.
        let socket = StateDirectory.socketPath(in: loaded.reach.stateDirectory)
        let failure: ExitCode = loaded.configuration == nil ? .configuration : .failure
        do throws(SystemError) {
            let stream = try LocalStream(connectingTo: socket, seconds: seconds)
            try stream.send("reload")
            guard case .line(let line) = try stream.receive(),
                let outcome = try? JSONDocument(parsing: Array(line.utf8), nodesMax: 4096)
            else {
                tell("the gateway has not said how the reload went", [], isJSON: isJSON)
                return failure
            }
            let isReloaded = outcome.root["reloaded"]?.boolean ?? false
            let findings = (outcome.root["findings"]?.elements ?? []).compactMap(\.string)
            if isReloaded {
                Console.print(isJSON ? line : "reloaded")
            } else {
                let reason = outcome.root["reason"]?.string ?? ""
                tell(
                    isJSON ? reason : "refused, the old configuration stays: \(reason)", findings,
                    isJSON: isJSON)
            }
            return isReloaded ? .success : failure
        } catch {
            let isAbsent = error.isNotFound || error.isRefusal
            tell(
                "\(isAbsent ? "no gateway runs on" : "\(error) at") \(socket)",
                loaded.diagnostics.map(\.rendered), isJSON: isJSON)
            return failure
        }
    }

    private static func tell(_ reason: String, _ findings: [String], isJSON: Bool) {
        if isJSON {
            Console.print(ReloadOutcome.refused(reason: reason, findings: findings).line)
        } else {
            for finding in findings { Console.error(finding) }
            Console.error("auth-gateway: \(reason)")
        }
    }

    private static let seconds = 60
}
