// SPDX-License-Identifier: Apache-2.0
// A look of top on the terminal, by ncurses: a line of bars per GPU, then the processors, then the models.
#include <ncurses.h>
#include <stdio.h>
#include <time.h>

#include "base/mem.h"
#include "cmd/top/top.h"

enum { BAR = 20 };

bool el_top_screen_open(void) {
    if (!newterm(NULL, stdout, stdin)) return false;
    cbreak();
    noecho();
    curs_set(0);
    keypad(stdscr, TRUE);
    nodelay(stdscr, TRUE);
    return true;
}

void el_top_screen_close(void) {
    endwin();
}

bool el_top_screen_quits(void) {
    const int key = getch();
    return key == 'q' || key == 'Q';
}

// [########            ]  40 %
static void draw_bar(int y, int x, double pct) {
    const int full = (int)(EL_MIN(pct, 100) * BAR / 100 + 0.5);
    mvaddch(y, x, '[');
    for (int i = 0; i < BAR; i++)
        addch(i < full ? '#' : ' ');
    printw("] %3.0f %%", pct);
}

// "busy [####  ] 40 %" at x; "?" where it is not known.
static void draw_share(int y, int x, const char *label, bool known, double pct) {
    mvaddstr(y, x, label);
    if (known)
        draw_bar(y, x + 7, pct);
    else
        mvaddstr(y, x + 7, "?");
}

static void draw_gpu(int y, int index, const struct el_gpu *gpu, const struct el_gpu_reading *reading) {
    const uint64_t *value = reading->value;
    const double total = (double)EL_MAX(gpu->memory, 1);
    attron(A_BOLD);
    mvprintw(y, 0, "GPU %d  %s", index, gpu->name);
    attroff(A_BOLD);
    if (reading->is_lost) addstr("  lost");
    if (el_gpu_knows(reading, EL_GPU_TEMPERATURE)) printw("  %d C", (int)value[EL_GPU_TEMPERATURE]);
    if (el_gpu_knows(reading, EL_GPU_POWER)) printw("  %.0f W", (double)value[EL_GPU_POWER] * 1e-3);
    if (el_gpu_knows(reading, EL_GPU_POWER_LIMIT))
        printw(" of %.0f W", (double)value[EL_GPU_POWER_LIMIT] * 1e-3);
    if (el_gpu_knows(reading, EL_GPU_SM_CLOCK)) printw("  %d MHz", (int)value[EL_GPU_SM_CLOCK]);
    if (el_gpu_knows(reading, EL_GPU_XID_COUNT) && value[EL_GPU_XID_COUNT])
        printw("  %d Xid errors", (int)value[EL_GPU_XID_COUNT]);
    draw_share(y + 1, 2, "busy", el_gpu_knows(reading, EL_GPU_UTILIZATION),
               (double)value[EL_GPU_UTILIZATION]);
    draw_share(y + 1, 40, "memory", el_gpu_knows(reading, EL_GPU_MEMORY_USED),
               100 * (double)value[EL_GPU_MEMORY_USED] / total);
    printw(" of %.0f MB", total * 0x1p-20);
}

static int draw_server(int y, const struct el_top_server *server) {
    if (!*server->url) return y;
    attron(A_BOLD);
    mvprintw(y++, 0, "%s", server->url);
    attroff(A_BOLD);
    if (!server->answers) {
        mvprintw(y++, 2, "does not answer: %s", server->problem);
        return y;
    }
    mvprintw(y++, 2, "%-28s %-10s %-9s %9s %8s %8s %10s", "model", "device", "precision", "memory", "texts",
             "tokens", "tokens/s");
    for (int i = 0; i < server->model_count; i++, y++) {
        const struct el_top_model *model = &server->models[i];
        mvprintw(y, 2, "%-28.28s %-10.10s %-9.9s %6.0f MB %8.0f %8.0f", model->name, model->device,
                 model->precision, model->weight_bytes * 0x1p-20, model->queue_inputs, model->queue_tokens);
        if (model->tokens_per_s >= 0) printw(" %10.0f", model->tokens_per_s);
    }
    for (int i = 0; i < server->alert_count; i++)
        mvprintw(y++, 2, "alert: %s of %s", server->alerts[i].kind, server->alerts[i].device);
    for (int i = 0; i < server->given_up_count; i++)
        mvprintw(y++, 2, "given up: %s, by %s", server->given_up[i].device, server->given_up[i].model);
    return y;
}

void el_top_screen_draw(const struct el_look *look) {
    char now[32];
    const time_t time = (time_t)look->time;
    struct tm parts;
    int y = 0;
    strftime(now, sizeof now, "%H:%M:%S", localtime_r(&time, &parts));
    erase();
    mvprintw(y, 0, "eleanor top  %s  (q ends)", now);
    y += 2;
    for (int i = 0; i < look->gpu_count; i++, y += 2)
        draw_gpu(y, i, look->gpus[i], &look->readings[i]);
    attron(A_BOLD);
    mvaddstr(y++, 0, "Processors");
    attroff(A_BOLD);
    draw_share(y, 2, "busy", look->busy_pct >= 0, look->busy_pct);
    draw_share(y, 40, "memory", look->memory_total > 0,
               100 * (double)look->memory_used / (double)EL_MAX(look->memory_total, 1));
    printw(" of %.0f MB", (double)look->memory_total * 0x1p-20);
    draw_server(y + 2, &look->server);
    refresh();
}
