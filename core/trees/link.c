#include "trees.h"

#include <math.h>

static double sigmoid(double x, double factor) {
    return 1.0 / (1.0 + exp(-factor * x));
}

static float sigmoid_float(float x) {
    float negative = -x < 88.7f ? -x : 88.7f;
    return 1.0f / (expf(negative) + 1.0f + 1e-16f);
}

static void softmax(double *scores, uint32_t count) {
    double largest = scores[0], sum = 0.0;
    for (uint32_t i = 1; i < count; i++) largest = scores[i] > largest ? scores[i] : largest;
    for (uint32_t i = 0; i < count; i++) sum += scores[i] = exp(scores[i] - largest);
    for (uint32_t i = 0; i < count; i++) scores[i] /= sum;
}

static void softmax_float(double *scores, uint32_t count) {
    float largest = (float)scores[0];
    double sum = 0.0;
    for (uint32_t i = 1; i < count; i++) largest = fmaxf((float)scores[i], largest);
    for (uint32_t i = 0; i < count; i++) {
        scores[i] = (double)expf((float)scores[i] - largest);
        sum += scores[i];
    }
    for (uint32_t i = 0; i < count; i++) scores[i] = (double)((float)scores[i] / (float)sum);
}

static double argmax(const double *scores, uint32_t count) {
    uint32_t best = 0;
    for (uint32_t i = 1; i < count; i++)
        if (scores[i] > scores[best]) best = i;
    return (double)best;
}

static double link_one(const struct tree_header *head, double x) {
    switch (head->link) {
    case LINK_SIGMOID: return sigmoid(x, head->factor);
    case LINK_EXP: return exp(x);
    case LINK_SIGMOID_FLOAT: return (double)sigmoid_float((float)x);
    case LINK_EXP_FLOAT: return (double)expf((float)x);
    case LINK_SIGNED_SQUARE: return x > 0 ? x * x : x < 0 ? -x * x : 0.0;
    case LINK_LOG1P_EXP: return log1p(exp(x));
    case LINK_EXP2_NEGATIVE: return -exp2(-x / head->factor) - head->offset;
    case LINK_POSITIVE: return x > 0 ? 1.0 : 0.0;
    default: return x;
    }
}

size_t gnomon_trees_answers(const struct trees *trees) {
    return trees->head.link == LINK_ARGMAX ? 1 : trees->head.outputs;
}

void gnomon_trees_link(const struct trees *trees, double *scores) {
    const uint32_t count = trees->head.outputs;
    switch (trees->head.link) {
    case LINK_IDENTITY: return;
    case LINK_SOFTMAX: softmax(scores, count); return;
    case LINK_SOFTMAX_FLOAT: softmax_float(scores, count); return;
    case LINK_ARGMAX: scores[0] = argmax(scores, count); return;
    default:
        for (uint32_t i = 0; i < count; i++) scores[i] = link_one(&trees->head, scores[i]);
    }
}
