// SPDX-License-Identifier: MIT
// A log line is one line of text, whatever bytes its message contains.
#include "base/log.h"

#include <string>
#include <unistd.h>

#include "base/text.h"
#include "node_test.h"

using namespace etlnode;

static std::string logged(const char *value)
{
    int ends[2];
    test_eq(pipe(ends), 0);
    int kept = dup(STDERR_FILENO);
    test_true(dup2(ends[1], STDERR_FILENO) >= 0);
    LOG(error, "test", "value=\"%s\"", value);
    test_true(dup2(kept, STDERR_FILENO) >= 0);
    close(kept);
    close(ends[1]);
    std::string out(8192, '\0');
    ssize_t size = read(ends[0], out.data(), out.size());
    close(ends[0]);
    test_true(size > 0);
    out.resize(static_cast<size_t>(size));
    return out;
}

static void expect(const char *value, const char *wanted)
{
    test_eq_text(logged(value), "level=error sub=test value=\"" + std::string(wanted) + "\"\n");
}

static void bytes_of_others_are_escaped(void **)
{
    expect("plain \xc3\xbc \xe4\xbd\xa0 \xf0\x9f\x98\x80", "plain \xc3\xbc \xe4\xbd\xa0 \xf0\x9f\x98\x80");
    expect("\xff\xfe", "\\xff\\xfe");
    expect("\xe2\x82", "\\xe2\\x82");
    expect("\xc0\x80 \xed\xa0\x80", "\\xc0\\x80 \\xed\\xa0\\x80");
    expect("a\nlevel=error b\r\x1b[31m\x7f\t", "a\\nlevel=error b\\x0d\\x1b[31m\\x7f\\x09");
}

static void long_lines_end_with_their_line(void **)
{
    for (size_t size = 4000; size < 4200; size += 7) {
        for (const char *piece : {"x", "\xff", "\xf0\x9f\x98\x80", "\n"}) {
            std::string value;
            while (value.size() < size)
                value += piece;
            std::string line = logged(value.c_str());
            test_true(line.size() <= 4096);
            test_eq(line.find('\n'), line.size() - 1);
            test_true(text_is_utf8(line));
        }
    }
}

static void the_last_lines_are_kept(void **)
{
    for (size_t i = 0; i < log_recent_size / 1000; i++)
        (void)logged((text_format("%zu ", i) + std::string(1000, 'x')).c_str());
    LOG(info, "test", "level=error spoofed");
    std::string all = log_recent(log_level::info);
    test_true(all.size() <= log_recent_size && all.size() > log_recent_size - 2000);
    test_true(all.starts_with("level=error sub=test value=\""));
    test_true(all.ends_with("sub=test level=error spoofed\n"));
    std::string errors = log_recent(log_level::error);
    test_true(errors.size() < all.size() && errors.find("spoofed") == std::string::npos);
    test_true(errors.starts_with("level=error sub=test value=\""));
}

int main()
{
    const CMUnitTest tests[] = {cmocka_unit_test(bytes_of_others_are_escaped), cmocka_unit_test(long_lines_end_with_their_line),
        cmocka_unit_test(the_last_lines_are_kept)};
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
