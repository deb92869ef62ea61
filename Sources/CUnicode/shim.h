#include <stdlib.h>
#include <utf8proc.h>
#include <idn2.h>
