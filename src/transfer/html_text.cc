// SPDX-License-Identifier: MIT
// transfer/html_text.cc: the text that a person would read in an HTML page.
//
// Knows    base.        Known by  pod_error.cc.
#include "transfer/html_text.h"

#include <algorithm>
#include <cstdint>

#include "base/text.h"

namespace etlnode {

static bool begins_with(std::string_view text, std::string_view start)
{
    return text.size() >= start.size() && text_equal_ignore_case(text.substr(0, start.size()), start);
}

static size_t find_ignore_case(std::string_view text, std::string_view what, size_t from)
{
    for (size_t i = from; i + what.size() <= text.size(); i++) {
        if (text_equal_ignore_case(text.substr(i, what.size()), what))
            return i;
    }
    return std::string_view::npos;
}

static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f'; }

static void append_folded(std::string &out, char c)
{
    if (!is_space(c))
        out += c;
    else if (!out.empty() && out.back() != ' ')
        out += ' ';
}

// --- character references

static void append_utf8(std::string &out, uint32_t c)
{
    if (c < 0x80)
        out += static_cast<char>(c);
    else if (c < 0x800) {
        out += static_cast<char>(0xc0 | c >> 6);
        out += static_cast<char>(0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
        out += static_cast<char>(0xe0 | c >> 12);
        out += static_cast<char>(0x80 | (c >> 6 & 0x3f));
        out += static_cast<char>(0x80 | (c & 0x3f));
    } else {
        out += static_cast<char>(0xf0 | c >> 18);
        out += static_cast<char>(0x80 | (c >> 12 & 0x3f));
        out += static_cast<char>(0x80 | (c >> 6 & 0x3f));
        out += static_cast<char>(0x80 | (c & 0x3f));
    }
}

static void append_character(std::string &out, uint32_t c)
{
    // Pages mean Windows' characters when they use numbers that Unicode assigns to controls.
    static constexpr uint16_t windows_1252[] = {0x20ac, 0x81, 0x201a, 0x192, 0x201e, 0x2026, 0x2020, 0x2021, 0x2c6, 0x2030, 0x160, 0x2039,
        0x152, 0x8d, 0x17d, 0x8f, 0x90, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014, 0x2dc, 0x2122, 0x161, 0x203a, 0x153, 0x9d,
        0x17e, 0x178};
    static constexpr uint32_t replacement = 0xfffd;
    static constexpr uint32_t no_break_space = 0xa0;
    if (c >= 0x80 && c < 0xa0)
        c = windows_1252[c - 0x80];
    if (c == 0 || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
        c = replacement;
    if (c == no_break_space || (c < 0x80 && is_space(static_cast<char>(c))))
        append_folded(out, ' ');
    else
        append_utf8(out, c);
}

// Decodes "&#60;" or "&#x3c;". 0 if it is neither.
static size_t append_numeric(std::string &out, std::string_view text)
{
    bool is_hex = text.size() > 2 && (text[2] == 'x' || text[2] == 'X');
    size_t at = is_hex ? 3 : 2;
    size_t first = at;
    uint32_t value = 0;
    static constexpr uint32_t above_all = 0x110000;
    for (; at < text.size(); at++) {
        char c = text[at];
        uint32_t digit = is_digit(c)                                   ? static_cast<uint32_t>(c - '0')
                         : is_hex && is_letter(c) && (c | 0x20) <= 'f' ? static_cast<uint32_t>((c | 0x20) - 'a' + 10)
                                                                       : 99;
        if (digit == 99)
            break;
        value = std::min(value * (is_hex ? 16 : 10) + digit, above_all);
    }
    if (at == first)
        return 0;
    append_character(out, value);
    return at + (at < text.size() && text[at] == ';' ? 1 : 0);
}

struct reference {
    std::string_view name;
    uint32_t character;
    bool is_old = false; // browsers also accept it without its semicolon
};
// The references that occur in messages.
static constexpr reference references[] = {{"amp", '&', true}, {"AMP", '&', true}, {"lt", '<', true}, {"LT", '<', true}, {"gt", '>', true},
    {"GT", '>', true}, {"quot", '"', true}, {"QUOT", '"', true}, {"apos", '\''}, {"nbsp", 0xa0, true}, {"copy", 0xa9, true},
    {"reg", 0xae, true}, {"trade", 0x2122}, {"sect", 0xa7, true}, {"para", 0xb6, true}, {"deg", 0xb0, true}, {"plusmn", 0xb1, true},
    {"micro", 0xb5, true}, {"middot", 0xb7, true}, {"times", 0xd7, true}, {"divide", 0xf7, true}, {"laquo", 0xab, true},
    {"raquo", 0xbb, true}, {"lsquo", 0x2018}, {"rsquo", 0x2019}, {"sbquo", 0x201a}, {"ldquo", 0x201c}, {"rdquo", 0x201d}, {"bdquo", 0x201e},
    {"lsaquo", 0x2039}, {"rsaquo", 0x203a}, {"ndash", 0x2013}, {"mdash", 0x2014}, {"hellip", 0x2026}, {"bull", 0x2022}, {"euro", 0x20ac},
    {"pound", 0xa3, true}, {"yen", 0xa5, true}, {"cent", 0xa2, true}, {"le", 0x2264}, {"ge", 0x2265}, {"ne", 0x2260}, {"larr", 0x2190},
    {"rarr", 0x2192}, {"uarr", 0x2191}, {"darr", 0x2193}, {"infin", 0x221e}, {"szlig", 0xdf, true}, {"auml", 0xe4, true},
    {"ouml", 0xf6, true}, {"uuml", 0xfc, true}, {"Auml", 0xc4, true}, {"Ouml", 0xd6, true}, {"Uuml", 0xdc, true}, {"aacute", 0xe1, true},
    {"eacute", 0xe9, true}, {"iacute", 0xed, true}, {"oacute", 0xf3, true}, {"uacute", 0xfa, true}, {"agrave", 0xe0, true},
    {"egrave", 0xe8, true}, {"ograve", 0xf2, true}, {"acirc", 0xe2, true}, {"ecirc", 0xea, true}, {"ocirc", 0xf4, true},
    {"atilde", 0xe3, true}, {"otilde", 0xf5, true}, {"ntilde", 0xf1, true}, {"ccedil", 0xe7, true}, {"aring", 0xe5, true},
    {"aelig", 0xe6, true}, {"oslash", 0xf8, true}, {"Eacute", 0xc9, true}, {"lbrace", '{'}, {"rbrace", '}'}, {"lsqb", '['}, {"rsqb", ']'},
    {"lpar", '('}, {"rpar", ')'}, {"colon", ':'}, {"semi", ';'}, {"comma", ','}, {"period", '.'}, {"sol", '/'}, {"bsol", '\\'},
    {"num", '#'}, {"percnt", '%'}, {"equals", '='}, {"plus", '+'}, {"ast", '*'}, {"excl", '!'}, {"quest", '?'}, {"commat", '@'},
    {"dollar", '$'}, {"lowbar", '_'}, {"grave", '`'}, {"Tab", '\t'}, {"NewLine", '\n'}, {"ensp", 0xa0}, {"emsp", 0xa0}, {"thinsp", 0xa0}};

// Decodes a character reference at the start of `text`; 0 if there is none.
static size_t append_reference(std::string &out, std::string_view text)
{
    if (text.size() > 1 && text[1] == '#')
        return append_numeric(out, text);
    size_t end = 1;
    while (end < text.size() && (is_letter(text[end]) || is_digit(text[end])))
        end++;
    std::string_view name = text.substr(1, end - 1);
    bool is_closed = end < text.size() && text[end] == ';';
    for (const reference &one : references) {
        // "&amp" at the end of a word, but not at the beginning of a longer one, such as a query parameter ("&region=").
        if (name != one.name || (!is_closed && (!one.is_old || (end < text.size() && text[end] == '='))))
            continue;
        append_character(out, one.character);
        return end + (is_closed ? 1 : 0);
    }
    return 0;
}

// --- tags

// Every element that a browser knows, sorted.
static constexpr std::string_view elements[] = {"a", "abbr", "acronym", "address", "applet", "area", "article", "aside", "audio", "b",
    "base", "basefont", "bdi", "bdo", "big", "blink", "blockquote", "body", "br", "button", "canvas", "caption", "center", "circle", "cite",
    "code", "col", "colgroup", "data", "datalist", "dd", "defs", "del", "details", "dfn", "dialog", "dir", "div", "dl", "dt", "em", "embed",
    "fieldset", "figcaption", "figure", "font", "footer", "form", "frame", "frameset", "g", "h1", "h2", "h3", "h4", "h5", "h6", "head",
    "header", "hgroup", "hr", "html", "i", "iframe", "img", "input", "ins", "kbd", "label", "legend", "li", "line", "link", "main", "map",
    "mark", "marquee", "menu", "meta", "meter", "nav", "nobr", "noframes", "noscript", "object", "ol", "optgroup", "option", "output", "p",
    "param", "path", "picture", "plaintext", "polygon", "pre", "progress", "q", "rect", "rp", "rt", "ruby", "s", "samp", "script", "search",
    "section", "select", "slot", "small", "source", "span", "strike", "strong", "style", "sub", "summary", "sup", "svg", "symbol", "table",
    "tbody", "td", "template", "textarea", "tfoot", "th", "thead", "time", "title", "tr", "track", "tt", "u", "ul", "use", "var", "video",
    "wbr", "xmp"};
static_assert(std::is_sorted(std::begin(elements), std::end(elements)));

static std::string_view tag_name(std::string_view tag)
{
    size_t at = tag.starts_with("</") ? 2 : 1;
    size_t end = at;
    while (end < tag.size() && (is_letter(tag[end]) || is_digit(tag[end]) || tag[end] == '-' || tag[end] == ':'))
        end++;
    return tag.substr(at, end - at);
}

static bool is_tag(std::string_view text)
{
    if (text.starts_with("<!") || text.starts_with("<?"))
        return text.size() > 2 && (is_letter(text[2]) || text[2] == '[' || text[2] == '-');
    std::string_view name = tag_name(text);
    if (name.empty() || !is_letter(name.front()))
        return false;
    char after = text.size() > (text.starts_with("</") ? 2 : 1) + name.size() ? text[(text.starts_with("</") ? 2 : 1) + name.size()] : '>';
    if (after != '>' && after != '/' && !is_space(after))
        return false;
    bool is_of_page = name.find('-') != std::string_view::npos ||
                      name.find(':') != std::string_view::npos; // elements that the page defines itself
    return is_of_page || std::binary_search(std::begin(elements), std::end(elements), text_lower(name));
}

// The position after its ">", which may also occur in a quoted value. npos: it is cut off.
static size_t tag_end(std::string_view html, size_t at)
{
    char quote = 0;
    for (size_t i = at; i < html.size(); i++) {
        char c = html[i];
        if (quote != 0)
            quote = c == quote ? '\0' : quote;
        else if (c == '>')
            return i + 1;
        else if ((c == '"' || c == '\'') && i > at && html[i - 1] == '=')
            quote = c;
    }
    return quote != 0 && html.find('>', at) != std::string_view::npos ? html.find('>', at) + 1 : std::string_view::npos;
}

static bool is_left_out(std::string_view name)
{
    static constexpr std::string_view left_out[] = {"script", "style", "title"};
    return std::any_of(std::begin(left_out), std::end(left_out), [&](std::string_view one) { return text_equal_ignore_case(name, one); });
}

// The position after the tag or comment at `at`, and after content that is not displayed.
static size_t skip_tag(std::string_view html, size_t at)
{
    std::string_view rest = html.substr(at);
    if (rest.starts_with("<!--")) {
        size_t end = html.find("-->", at + 2);
        return end == std::string_view::npos ? html.size() : end + 3;
    }
    size_t end = tag_end(html, at);
    if (end == std::string_view::npos)
        return html.size();
    std::string_view name = tag_name(rest);
    if (rest.starts_with("</") || !is_left_out(name))
        return end;
    size_t close = find_ignore_case(html, "</" + std::string(name), end);
    return close == std::string_view::npos ? html.size() : close;
}

static bool is_inline(std::string_view name)
{
    static constexpr std::string_view inline_elements[] = {"a", "abbr", "b", "big", "cite", "code", "dfn", "em", "font", "i", "kbd", "mark",
        "nobr", "q", "s", "samp", "small", "span", "strike", "strong", "sub", "sup", "tt", "u", "var", "wbr"};
    return std::any_of(
        std::begin(inline_elements), std::end(inline_elements), [&](std::string_view one) { return text_equal_ignore_case(name, one); });
}

static std::string text_of(std::string_view html)
{
    std::string out;
    for (size_t at = 0; at < html.size();) {
        std::string_view rest = html.substr(at);
        if (rest.front() == '<' && is_tag(rest)) {
            at = skip_tag(html, at);
            if (!rest.starts_with("<!") && !is_inline(tag_name(rest)))
                append_folded(out, ' ');
            continue;
        }
        size_t taken = rest.front() == '&' ? append_reference(out, rest) : 0;
        if (taken == 0)
            append_folded(out, rest.front());
        at += std::max<size_t>(taken, 1);
    }
    return std::string(text_trim(out));
}

static std::string title_of(std::string_view html)
{
    size_t at = find_ignore_case(html, "<title", 0);
    size_t from = at == std::string_view::npos ? at : html.find('>', at);
    size_t end = from == std::string_view::npos ? from : find_ignore_case(html, "</title", from);
    return end == std::string_view::npos ? std::string() : text_of(html.substr(from + 1, end - from - 1));
}

std::string html_text(std::string_view html)
{
    std::string text = text_of(html);
    return text.empty() ? title_of(html) : text;
}

bool html_is_page(std::string_view content_type, std::string_view body)
{
    std::string_view start = body.substr(std::min(body.find_first_not_of(" \t\r\n"), body.size()));
    return find_ignore_case(content_type.substr(0, content_type.find(';')), "html", 0) != std::string_view::npos ||
           begins_with(start, "<!doctype html") || begins_with(start, "<html");
}

std::string_view html_charset(std::string_view html)
{
    static constexpr size_t looked_at = 1024;
    std::string_view head = html.substr(0, looked_at);
    size_t meta = find_ignore_case(head, "<meta", 0);
    size_t at = meta == std::string_view::npos ? meta : find_ignore_case(head, "charset=", meta);
    if (at == std::string_view::npos)
        return {};
    std::string_view value = head.substr(at + 8);
    if (value.starts_with('"') || value.starts_with('\''))
        value.remove_prefix(1);
    return value.substr(0, value.find_first_of("\"' >/;"));
}

} // namespace etlnode
