/* SPDX-License-Identifier: Apache-2.0 */
#include "options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum option_name {
    OPTION_IMAGES = 256,
    OPTION_FLASH,
    OPTION_BROKER,
    OPTION_TLS_CA,
    OPTION_CERTIFICATES,
    OPTION_USER,
    OPTION_PASSWORD_FILE,
    OPTION_PROTOCOL,
    OPTION_PERSISTENT,
    OPTION_LINE,
    OPTION_LINE_EACH,
    OPTION_BAUD,
    OPTION_RECORDING,
    OPTION_INFER_EVERY,
    OPTION_RUN,
    OPTION_FAULT,
    OPTION_CONTROL,
    OPTION_ERASE,
    OPTION_WRITE,
    OPTION_SLOT,
    OPTION_SAMPLES, OPTION_LEARNING,
    OPTION_ARENA,
    OPTION_SEED,
};

static const struct option known[] = {
    { "images", required_argument, NULL, OPTION_IMAGES },
    { "flash", required_argument, NULL, OPTION_FLASH },
    { "broker", required_argument, NULL, OPTION_BROKER },
    { "tls-ca", required_argument, NULL, OPTION_TLS_CA },
    { "certificates", required_argument, NULL, OPTION_CERTIFICATES },
    { "user", required_argument, NULL, OPTION_USER },
    { "password-file", required_argument, NULL, OPTION_PASSWORD_FILE },
    { "mqtt", required_argument, NULL, OPTION_PROTOCOL },
    { "persistent", no_argument, NULL, OPTION_PERSISTENT },
    { "line", required_argument, NULL, OPTION_LINE },
    { "line-each", required_argument, NULL, OPTION_LINE_EACH },
    { "baud", required_argument, NULL, OPTION_BAUD },
    { "recording", required_argument, NULL, OPTION_RECORDING },
    { "infer-every", required_argument, NULL, OPTION_INFER_EVERY },
    { "run-time", required_argument, NULL, OPTION_RUN },
    { "fault", required_argument, NULL, OPTION_FAULT },
    { "control", required_argument, NULL, OPTION_CONTROL },
    { "erase-bytes", required_argument, NULL, OPTION_ERASE },
    { "write-bytes", required_argument, NULL, OPTION_WRITE },
    { "slot-bytes", required_argument, NULL, OPTION_SLOT },
    { "samples-bytes", required_argument, NULL, OPTION_SAMPLES },
    { "learning-bytes", required_argument, NULL, OPTION_LEARNING },
    { "arena-bytes", required_argument, NULL, OPTION_ARENA },
    { "seed", required_argument, NULL, OPTION_SEED },
    { "help", no_argument, NULL, 'h' },
    { NULL, 0, NULL, 0 },
};

static const char usage[] =
    "Usage: tinyfleet-vdev --images FOLDER (--broker HOST[:PORT] | --line KIND:PATH ... | --line-each KIND:FOLDER) [options]\n"
    "\n"
    "Runs one virtual device for each file in FOLDER, all in one process. A file is a provisioned region\n"
    "(docs/specs/flash.md, section 1): identity, key and pre-baked models of the device.\n"
    "\n"
    "Links\n"
    "  --broker HOST[:PORT]   connect each device to this broker (port 1883, with TLS 8883)\n"
    "  --tls-ca FILE          use TLS, and trust the CA in FILE\n"
    "  --certificates FOLDER  TLS client certificates: FOLDER/<device>.crt and .key\n"
    "  --user NAME            user name\n"
    "  --password-file FILE   read the password from the first line of FILE\n"
    "  --mqtt 3.1.1|5         protocol version (default 3.1.1)\n"
    "  --persistent           keep sessions while disconnected\n"
    "  --line pty:PATH        put all devices on one serial line, by address; PATH becomes a link to the pty\n"
    "  --line unix:PATH       the same on a Unix socket; several lines share the devices evenly\n"
    "  --line-each KIND:FOLDER  give each device its own line, FOLDER/<device>\n"
    "  --baud N               send answers at this speed (default: at once)\n"
    "\n"
    "Devices\n"
    "  --flash FOLDER         keep flash in FOLDER/<device>.flash (default: in memory)\n"
    "  --erase-bytes N        erase unit (default 4096)\n"
    "  --write-bytes N        write unit (default 8)\n"
    "  --slot-bytes N         size of each slot (default 131072; 0: no updates over the air)\n"
    "  --samples-bytes N      size of each sample log (default 0: none is kept)\n"
    "  --learning-bytes N     room for rows, and for a forest grown from them (default 0: devices do not learn)\n"
    "  --arena-bytes N        arena for models (default 32768)\n"
    "  --recording FILE       read input from a CSV file, one column per channel (default: generated vibration)\n"
    "  --infer-every MS       time between inferences (default 1000; 0: none)\n"
    "  --run-time MS          time that an inference takes (default 0: as long as this machine needs)\n"
    "  --seed N               seed of the random generators (default 1)\n"
    "\n"
    "Faults\n"
    "  --fault REQUEST        inject a fault into all devices from the start; may be repeated. One of\n";

static const char usage_control[] =
    "  --control PATH         a Unix socket that takes one command per line and ends each answer with an empty line:\n"
    "                         devices | status NAME | fault NAME REQUEST | restart NAME | quit   (NAME may be *)\n"
    "                         infer NAME HEX: run the model on a window, the bytes of its input\n"
    "                         store NAME: read the sensor, and ask for operation 1 with it\n";

static _Noreturn void help(void)
{
    (void)printf("%s%s%s", usage, faults_help, usage_control);
    exit(EXIT_SUCCESS);
}

static _Noreturn void refuse(const char *what, const char *why)
{
    (void)fprintf(stderr, "tinyfleet-vdev: %s: %s\n", what, why);
    exit(2);
}

static uint32_t number(const char *name, const char *text, uint32_t least, uint32_t most)
{
    char *end;
    const unsigned long value = strtoul(text, &end, 0);

    if (end == text || *end != 0 || value < least || value > most) {
        refuse(name, "not a number, or out of range");
    }
    return (uint32_t)value;
}

static uint32_t power_of_two(const char *name, const char *text, uint32_t least, uint32_t most)
{
    const uint32_t value = number(name, text, least, most);

    if ((value & (value - 1u)) != 0) {
        refuse(name, "must be a power of two");
    }
    return value;
}

static char *first_line(const char *path)
{
    FILE *file = fopen(path, "r");
    char *line = NULL;
    size_t room = 0;

    if (file == NULL || getline(&line, &room, file) < 0) {
        refuse(path, "can't read this file");
    }
    fclose(file);
    line[strcspn(line, "\r\n")] = 0;
    return line;
}

static void take_fault(struct options *options, const char *request)
{
    const char *wrong = faults_request(&options->faults, request);

    if (wrong != NULL) {
        refuse(request, wrong);
    }
}

static void take_line(struct options *options, const char *where)
{
    if (options->line_count == LINES_MAX) {
        refuse("--line", "too many lines");
    }
    options->lines[options->line_count++] = where;
}

static void take(struct options *options, int name, const char *value)
{
    switch (name) {
    case OPTION_IMAGES: options->images = value; break;
    case OPTION_FLASH: options->flash_folder = value; break;
    case OPTION_BROKER: options->broker = value; break;
    case OPTION_TLS_CA: options->mqtt.ca_file = value; break;
    case OPTION_CERTIFICATES: options->mqtt.certificate_folder = value; break;
    case OPTION_USER: options->mqtt.user = value; break;
    case OPTION_PASSWORD_FILE: options->password = first_line(value); break;
    case OPTION_PROTOCOL: options->mqtt.protocol = value; break;
    case OPTION_PERSISTENT: options->mqtt.persistent = true; break;
    case OPTION_LINE: take_line(options, value); break;
    case OPTION_LINE_EACH: options->line_each = value; break;
    case OPTION_BAUD: options->baud = number("--baud", value, 0, 4000000); break;
    case OPTION_RECORDING: options->recording = value; break;
    case OPTION_RUN: options->pace.run_ms = number("--run-time", value, 0, 3600000); break;
    case OPTION_INFER_EVERY: options->pace.infer_every_ms = number("--infer-every", value, 0, 86400000); break;
    case OPTION_FAULT: take_fault(options, value); break;
    case OPTION_CONTROL: options->control = value; break;
    case OPTION_ERASE: options->flash.erase_bytes = power_of_two("--erase-bytes", value, 256, 1u << 20); break;
    case OPTION_WRITE: options->flash.write_bytes = power_of_two("--write-bytes", value, 1, TF_WRITE_SIZE_MAX); break;
    case OPTION_SLOT: options->flash.slot_bytes = number("--slot-bytes", value, 0, 1u << 28); break;
    case OPTION_LEARNING: options->flash.learning_bytes = number("--learning-bytes", value, 0, 1u << 28); break;
    case OPTION_SAMPLES: options->flash.samples_bytes = number("--samples-bytes", value, 0, 1u << 28); break;
    case OPTION_ARENA: options->arena_bytes = number("--arena-bytes", value, 0, 1u << 28); break;
    case OPTION_SEED: options->seed = number("--seed", value, 0, UINT32_MAX); break;
    case 'h': help();
    default: exit(2); /* getopt has printed the reason */
    }
}

static void check(struct options *options)
{
    const bool serial = options->line_count > 0 || options->line_each != NULL;

    if (options->images == NULL) {
        refuse("--images", "required (see --help)");
    }
    if ((options->broker != NULL) == serial || (options->line_count > 0 && options->line_each != NULL)) {
        refuse("links", "give exactly one of --broker, --line and --line-each (see --help)");
    }
    if (strcmp(options->mqtt.protocol, "3.1.1") != 0 && strcmp(options->mqtt.protocol, "5") != 0) {
        refuse("--mqtt", "must be 3.1.1 or 5");
    }
    if (options->broker != NULL) {
        const char *wrong = mqtt_broker_parse(&options->mqtt, options->broker, options->mqtt.ca_file != NULL);

        if (wrong != NULL) {
            refuse(options->broker, wrong);
        }
    }
}

void options_read(struct options *options, int argc, char **argv)
{
    int name;

    *options = (struct options){
        .mqtt = { .protocol = "3.1.1" },
        .flash = { .erase_bytes = 4096, .write_bytes = 8, .journal_bytes = 8192, .slot_bytes = 128 * 1024 },
        .arena_bytes = 32 * 1024,
        .pace = { .infer_every_ms = 1000 },
        .seed = 1,
    };
    while ((name = getopt_long(argc, argv, "h", known, NULL)) != -1) {
        take(options, name, optarg);
    }
    if (optind < argc) {
        refuse(argv[optind], "unexpected argument");
    }
    options->mqtt.password = options->password;
    check(options);
}

void options_free(struct options *options)
{
    free(options->mqtt.host);
    free(options->password);
}
