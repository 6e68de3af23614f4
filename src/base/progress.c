// SPDX-License-Identifier: Apache-2.0
// The progress bar and its plain lines.
#include "base/progress.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/thread.h"

static const uint64_t second_ns = 1000000000;
static const uint64_t redraw_ns = 100000000;      // of the bar
static const uint64_t line_ns = 5000000000;       // between plain lines
static const uint64_t rate_window_ns = 500000000; // of one measurement of the rate

enum { TEXT_SIZE = 64, LINE_SIZE = 512, BAR_MIN = 10, BAR_MAX = 40 };

void el_progress_open(struct el_progress *progress, FILE *stream) {
    *progress = (struct el_progress){.stream = stream};
    progress->is_terminal = stream && isatty(fileno(stream));
}

void el_progress_start(struct el_progress *progress, const char *what, const char *unit, uint64_t total,
                       uint64_t done) {
    if (!progress) return;
    progress->what = what;
    progress->unit = unit;
    progress->total = total;
    progress->done = progress->first = progress->rate_done = done;
    progress->start_ns = progress->rate_ns = el_now_ns();
    progress->shown_ns = progress->start_ns;
    progress->rate = 0;
    progress->has_line = false;
}

// "12.3 MB", "4,096" would need a locale: plain digits for counts.
static void format_amount(char *text, double amount, const char *unit) {
    static const char *const steps[] = {"B", "kB", "MB", "GB", "TB"};
    size_t step = 0;
    for (; !unit && amount >= 1000 && step + 1 < EL_COUNT(steps); step++)
        amount /= 1000;
    if (unit)
        snprintf(text, TEXT_SIZE, "%.0f %s", amount, unit);
    else
        snprintf(text, TEXT_SIZE, step ? "%.1f %s" : "%.0f %s", amount, steps[step]);
}

static void format_time(char *text, double seconds) {
    uint64_t s = (uint64_t)(seconds + 0.5);
    if (s >= 360000)
        snprintf(text, TEXT_SIZE, "days");
    else if (s >= 3600)
        snprintf(text, TEXT_SIZE, "%" PRIu64 ":%02" PRIu64 ":%02" PRIu64, s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(text, TEXT_SIZE, "%" PRIu64 ":%02" PRIu64, s / 60, s % 60);
}

// The rate follows the last seconds: each window counts for a third.
static void measure_rate(struct el_progress *progress, uint64_t now) {
    uint64_t elapsed = now - progress->rate_ns;
    if (elapsed < rate_window_ns || progress->done < progress->rate_done) return;
    double fresh = (double)(progress->done - progress->rate_done) * (double)second_ns / (double)elapsed;
    progress->rate = progress->rate > 0 ? progress->rate + (fresh - progress->rate) / 3 : fresh;
    progress->rate_done = progress->done;
    progress->rate_ns = now;
}

// " 45 % of 90.9 MB, 12.3 MB/s, 0:04 left", or " 40.9 MB, 12.3 MB/s" when the total is unknown.
static void format_facts(const struct el_progress *progress, char *line, size_t size) {
    char done[TEXT_SIZE], total[TEXT_SIZE], rate[TEXT_SIZE], left[TEXT_SIZE];
    size_t used = 0;
    format_amount(done, (double)progress->done, progress->unit);
    if (progress->total) {
        format_amount(total, (double)progress->total, progress->unit);
        double percent = 100.0 * (double)progress->done / (double)progress->total;
        used = (size_t)snprintf(line, size, "%3.0f %% of %s", EL_MIN(percent, 100.0), total);
    } else {
        used = (size_t)snprintf(line, size, "%s", done);
    }
    if (progress->rate <= 0 || used >= size) return;
    format_amount(rate, progress->rate, progress->unit);
    used += (size_t)snprintf(line + used, size - used, ", %s/s", rate);
    if (progress->total <= progress->done || used >= size) return;
    format_time(left, (double)(progress->total - progress->done) / progress->rate);
    snprintf(line + used, size - used, ", %s left", left);
}

static size_t terminal_width(const struct el_progress *progress) {
    struct winsize window;
    bool known = ioctl(fileno(progress->stream), TIOCGWINSZ, &window) == 0 && window.ws_col > 0;
    return known ? window.ws_col : 80;
}

// "what [=====>     ]  45 % ...", cut to the terminal's width; the bar is left out where there is no room.
static void draw(struct el_progress *progress) {
    char facts[LINE_SIZE / 2], line[LINE_SIZE], bar[BAR_MAX + 1] = "";
    format_facts(progress, facts, sizeof facts);
    size_t width = EL_MIN(terminal_width(progress) - 1, sizeof line - 1);
    size_t others = strlen(progress->what) + strlen(facts) + 4; // blanks and brackets
    size_t room = width > others ? EL_MIN(width - others, (size_t)BAR_MAX) : 0;
    if (progress->total && room >= BAR_MIN) {
        size_t filled = (size_t)((double)room * (double)progress->done / (double)progress->total);
        for (size_t i = 0; i < room; i++)
            bar[i] = i < filled ? '=' : i == filled ? '>' : ' ';
        bar[room] = '\0';
        snprintf(line, sizeof line, "%s [%s] %s", progress->what, bar, facts);
    } else {
        snprintf(line, sizeof line, "%s %s", progress->what, facts);
    }
    fprintf(progress->stream, "\r%.*s\033[K", (int)width, line);
    fflush(progress->stream);
    progress->is_drawn = true;
}

static void print_line(struct el_progress *progress) {
    char facts[LINE_SIZE / 2];
    format_facts(progress, facts, sizeof facts);
    fprintf(progress->stream, "%s: %s\n", progress->what, facts);
    fflush(progress->stream);
    progress->has_line = true;
}

void el_progress_set(struct el_progress *progress, uint64_t done) {
    if (!progress || !progress->stream) return;
    progress->done = done;
    uint64_t now = el_now_ns();
    if (now - progress->shown_ns < (progress->is_terminal ? redraw_ns : line_ns)) return;
    measure_rate(progress, now);
    progress->shown_ns = now;
    if (progress->is_terminal)
        draw(progress);
    else
        print_line(progress);
}

void el_progress_add(struct el_progress *progress, uint64_t more) {
    if (progress) el_progress_set(progress, progress->done + more);
}

static void take_bar_away(struct el_progress *progress) {
    if (progress->is_drawn) fputs("\r\033[K", progress->stream);
    progress->is_drawn = false;
}

void el_progress_note(struct el_progress *progress, const char *format, ...) {
    if (!progress || !progress->stream) return;
    va_list args;
    va_start(args, format);
    take_bar_away(progress);
    vfprintf(progress->stream, format, args);
    va_end(args);
    fputc('\n', progress->stream);
    fflush(progress->stream);
}

void el_progress_finish(struct el_progress *progress) {
    if (!progress || !progress->stream) return;
    take_bar_away(progress);
    if (progress->has_line) {
        // The mean over the whole work: that is what one wants to know afterwards.
        double elapsed = (double)(el_now_ns() - progress->start_ns) / (double)second_ns;
        if (elapsed > 0 && progress->done >= progress->first)
            progress->rate = (double)(progress->done - progress->first) / elapsed;
        print_line(progress);
    }
    progress->has_line = false;
    fflush(progress->stream);
}
