// Sets of permissions united: as plain sets are, also where a number is a word's last or first.
import Testing

@testable import Access

@Suite struct PermissionSetTests {
    @Test func `A union holds what one of its sets holds, each once and in order`() {
        var known = PermissionNumbers()
        let names = (0..<300).map { "orders:\($0)" }
        for name in names { _ = known.number(name) }
        var random = SystemRandomNumberGenerator()
        for _ in 0..<200 {
            let lists = (0..<Int.random(in: 1...5, using: &random)).map { _ in
                let members = [0, 1, 62, 63, 64, 65, 127, 128, 255, 256, 299, 300]
                return members.filter { _ in Bool.random(using: &random) }
                    .compactMap { $0 < names.count ? names[$0] : nil }
            }
            let sets = lists.map { PermissionSet($0, &known) }
            var union = sets[0]
            union.formUnion(Array(sets[1...]))
            #expect(union.numbers == Set(sets.flatMap(\.numbers)).sorted(), "\(lists)")
        }
    }

    @Test func `A union takes in namespaces, and everything`() {
        var known = PermissionNumbers()
        var union = PermissionSet(["orders:*"], &known)
        union.formUnion([PermissionSet(["orders:*", "bills:*", "users:read"], &known)])
        #expect(union.names(known) == ["orders:*", "bills:*", "users:read"])
        union.formUnion([])
        union.formUnion([PermissionSet(["*:*"], &known)])
        #expect(union.isEverything)
    }
}
