// Socket addresses in the form that C takes and gives, and the looking up of names: the second half of
// `Syscalls`, and as unsafe. No pointer leaves it.

import CLinux
import Glibc

extension Syscalls {
    /// The addresses of a host name, in the order of preference of the system (RFC 6724). Blocks, maybe for
    /// many seconds.
    ///
    /// - Parameter countMax: more are left out.
    static func addresses(
        ofName host: String, port: UInt16, countMax: Int
    ) throws(LookupError) -> [SocketAddress] {
        // C would stop reading there, and ask for what stands in front of it.
        if host.utf8.contains(0) { throw LookupError(reason: "the name has a NUL in it") }
        var hints = unsafe addrinfo()
        unsafe hints.ai_family = AF_UNSPEC
        unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        unsafe hints.ai_flags = AI_ADDRCONFIG
        var list: UnsafeMutablePointer<addrinfo>?
        let code = unsafe host.withCString { unsafe getaddrinfo($0, nil, &hints, &list) }
        if code != 0 {
            let reason = code == EAI_SYSTEM ? describe(errno) : unsafe String(cString: gai_strerror(code))
            throw LookupError(reason: reason)
        }
        defer { unsafe freeaddrinfo(list) }
        var addresses: [SocketAddress] = []
        var entry = unsafe list
        while let current = unsafe entry, addresses.count < countMax {
            if let address = unsafe SocketAddress(current.pointee, port: port), !addresses.contains(address) {
                addresses.append(address)
            }
            unsafe entry = current.pointee.ai_next
        }
        return addresses
    }
}

extension SocketAddress {
    /// The address in the form that the calls take. Kept beside them: it is a matter of pointers.
    func withStorage(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
        switch family {
        case .v4:
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = port.bigEndian
            unsafe withUnsafeMutableBytes(of: &address.sin_addr) { unsafe $0.copyBytes(from: bytes) }
            return unsafe withUnsafePointer(to: &address) { pointer in
                unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    unsafe body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
        case .v6:
            var address = sockaddr_in6()
            address.sin6_family = sa_family_t(AF_INET6)
            address.sin6_port = port.bigEndian
            unsafe withUnsafeMutableBytes(of: &address.sin6_addr) { unsafe $0.copyBytes(from: bytes) }
            return unsafe withUnsafePointer(to: &address) { pointer in
                unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    unsafe body($0, socklen_t(MemoryLayout<sockaddr_in6>.size))
                }
            }
        case .unix:
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: bytes) }
            // unix(7): the name of an abstract socket begins with a NUL, and all that is said of it belongs
            // to it.
            let length = bytes.first == 0 ? 2 + bytes.count : MemoryLayout<sockaddr_un>.size
            return unsafe withUnsafePointer(to: &address) { pointer in
                unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    unsafe body($0, socklen_t(length))
                }
            }
        }
    }

    /// - Parameter isOurs: a listener's own address; peers of unix sockets are all alike, whatever they are
    ///   bound to.
    init(_ storage: sockaddr_storage, isOurs: Bool = false) {
        var storage = storage
        if Int32(storage.ss_family) == AF_UNIX {
            let path = unsafe withUnsafePointer(to: &storage) {
                unsafe $0.withMemoryRebound(to: sockaddr_un.self, capacity: 1) { unsafe $0.pointee.sun_path }
            }
            let bytes = unsafe withUnsafeBytes(of: path) { unsafe Array($0.prefix { $0 != 0 }) }
            self.init(unix: isOurs ? bytes : [])
        } else if Int32(storage.ss_family) == AF_INET6 {
            let address = unsafe withUnsafePointer(to: &storage) {
                unsafe $0.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) { unsafe $0.pointee }
            }
            let bytes = unsafe withUnsafeBytes(of: address.sin6_addr) { unsafe Array($0) }
            self.init(v6: bytes, port: UInt16(bigEndian: address.sin6_port))
        } else {
            let address = unsafe withUnsafePointer(to: &storage) {
                unsafe $0.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { unsafe $0.pointee }
            }
            let bytes = unsafe withUnsafeBytes(of: address.sin_addr) { unsafe Array($0) }
            self.init(v4: bytes, port: UInt16(bigEndian: address.sin_port))
        }
    }

    /// The bytes of a literal IPv4 or IPv6 address; nil for anything else.
    static func parse(_ host: String) -> [UInt8]? {
        // C would stop reading there, and take what stands in front of it.
        if host.utf8.contains(0) { return nil }
        var v4 = in_addr()
        if unsafe host.withCString({ unsafe inet_pton(AF_INET, $0, &v4) }) == 1 {
            return unsafe withUnsafeBytes(of: v4) { unsafe Array($0) }
        }
        var v6 = in6_addr()
        if unsafe host.withCString({ unsafe inet_pton(AF_INET6, $0, &v6) }) == 1 {
            return unsafe withUnsafeBytes(of: v6) { unsafe Array($0) }
        }
        return nil
    }

    /// The address in its canonical text (RFC 5952).
    static func text(v6 bytes: [UInt8]) -> String {
        var output = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        let count = output.count
        _ = unsafe bytes.withUnsafeBytes { source in
            unsafe inet_ntop(AF_INET6, source.baseAddress, &output, socklen_t(count))
        }
        return String(decoding: output.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// One of the answers to a name; nil for another kind of address.
    fileprivate init?(_ answer: addrinfo, port: UInt16) {
        guard let address = unsafe answer.ai_addr else { return nil }
        var storage = sockaddr_storage()
        let count = min(unsafe Int(answer.ai_addrlen), MemoryLayout<sockaddr_storage>.size)
        unsafe withUnsafeMutableBytes(of: &storage) {
            unsafe $0.copyMemory(from: UnsafeRawBufferPointer(start: address, count: count))
        }
        let family = Int32(storage.ss_family)
        guard family == AF_INET || family == AF_INET6 else { return nil }
        let found = SocketAddress(storage)
        if found.family == .v4 {
            self.init(v4: found.bytes, port: port)
        } else {
            self.init(v6: found.bytes, port: port)
        }
    }
}
