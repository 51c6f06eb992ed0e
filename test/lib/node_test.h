// SPDX-License-Identifier: MIT
// test/lib/node_test.h: the only file that includes cmocka; small typed wrappers around its casting macros.
//
// A failed assertion is a longjmp, so destructors of locals do not run. Keep what needs destruction in a fixture that setup creates and
// teardown destroys, or accept a leak in a test that has failed anyway.
#pragma once

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

extern "C" {
#include <cmocka.h>
}

namespace etlnode {
#undef fail
#undef skip

#define test_fail(...) (print_error(__VA_ARGS__), print_error("\n"), _fail(__FILE__, __LINE__))
#define test_true(cond) assert_true(cond)
#define test_false(cond) assert_false(cond)
#define test_ok(err) test_ok_at((err), __FILE__, __LINE__)
#define test_eq(a, b) test_eq_at((a), (b), __FILE__, __LINE__)
#define test_eq_text(a, b) test_eq_text_at((a), (b), __FILE__, __LINE__)
#define test_has_text(text, part) test_has_text_at((text), (part), __FILE__, __LINE__)
#define test_eq_enum(a, b) test_eq_enum_at((a), (b), __FILE__, __LINE__)

template <class A, class B> void test_eq_at(A a, B b, const char *file, int line)
{
    static_assert(std::is_integral_v<A> && std::is_integral_v<B>, "test_eq compares integers; use test_eq_text or test_eq_enum");
    bool equal = (a < 0) == (b < 0) && static_cast<uint64_t>(a) == static_cast<uint64_t>(b);
    if (!equal) {
        print_error("%lld != %lld\n", static_cast<long long>(a), static_cast<long long>(b));
        _fail(file, line);
    }
}

template <class T> void test_eq_enum_at(T a, T b, const char *file, int line)
{
    if (a != b) {
        print_error("enumerator %lld != %lld\n", static_cast<long long>(a), static_cast<long long>(b));
        _fail(file, line);
    }
}

inline void test_eq_text_at(std::string_view a, std::string_view b, const char *file, int line)
{
    if (a != b) {
        print_error("\"%.*s\"\n  is not\n\"%.*s\"\n", static_cast<int>(a.size()), a.data(), static_cast<int>(b.size()), b.data());
        _fail(file, line);
    }
}

inline void test_has_text_at(std::string_view text, std::string_view part, const char *file, int line)
{
    if (text.find(part) == std::string_view::npos) {
        print_error("\"%.*s\"\n  does not contain\n\"%.*s\"\n", static_cast<int>(text.size()), text.data(), static_cast<int>(part.size()),
            part.data());
        _fail(file, line);
    }
}

// Accepts any type with `code` and a test for failure. It is a template so that tests of base need not link error.cc.
template <class E> void test_ok_at(E err, const char *file, int line)
{
    if (err) {
        print_error("failed with error code %d (%s)\n", static_cast<int>(err.code), err.what != nullptr ? err.what : "-");
        _fail(file, line);
    }
}

} // namespace etlnode
