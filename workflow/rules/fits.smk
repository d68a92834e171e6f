# Power laws fitted to tables, and the claims of the paper compared with them. No rule here trains or measures anything.
# results/fits/chinchilla_points.csv: the points of others, fetched or given by path, empty without a network.

FITS = config["fits"]
SHAPES = f"{PUBLISHED}/chinchilla_model_shapes.csv"
POINTS_ARE_REMOTE = FITS["chinchilla_points"].startswith(("https://", "http://"))
FIT_TABLES = [
    "toy_exponents",
    "toy_exponent_starts",
    "toy_published",
    "llm_loss_fit",
    "llm_loss_intercepts",
    "width_fit",
    "chinchilla_fit",
    "chinchilla_profile",
    "joint_fit",
    "width_suites",
    "width_suite_profiles",
    "claims",
]
SUITES = {
    name: ({"source": FITS["chinchilla_points"]} if entry["format"] == "chinchilla" else {}) | entry
    for name, entry in FITS["suites"].items()
}


rule fits:
    input:
        expand("results/tables/{table}.csv", table=FIT_TABLES),
        pictures(*(drawing for drawing in DRAWINGS.values() if drawing.module == "figures.fits")),


rule fit_toy_curves:
    input:
        models="results/tables/toy_models.csv",
    output:
        exponents="results/tables/toy_exponents.csv",
        starts="results/tables/toy_exponent_starts.csv",
    log:
        "logs/fits/toy.log",
    conda:
        "../envs/scaling.yaml"
    params:
        source=source_fingerprint("fits/toy"),
    shell:
        "python -m scaling.fits.toy --models {input.models} --exponents {output.exponents}"
        " --starts {output.starts} > {log} 2>&1"


rule compare_with_published:
    input:
        models="results/tables/toy_models.csv",
        exponents="results/tables/toy_exponents.csv",
    output:
        "results/tables/toy_published.csv",
    log:
        "logs/fits/published.log",
    conda:
        "../envs/scaling.yaml"
    params:
        published=PUBLISHED,
        source=source_fingerprint("fits/comparison"),
    shell:
        "python -m scaling.fits.comparison --models {input.models} --exponents {input.exponents}"
        " --published {params.published} --output {output} > {log} 2>&1"


rule fit_language_models:
    input:
        published=f"{PUBLISHED}/fig8b_llm_loss.csv",
        losses="results/tables/llm_losses.csv",
    output:
        fit="results/tables/llm_loss_fit.csv",
        intercepts="results/tables/llm_loss_intercepts.csv",
    log:
        "logs/fits/llm.log",
    conda:
        "../envs/scaling.yaml"
    params:
        resamples=FITS["bootstraps"],
        seed=FITS["seed"],
        source=source_fingerprint("fits/llm"),
    shell:
        "python -m scaling.fits.llm --published {input.published:q} --losses {input.losses} --resamples {params.resamples}"
        " --seed {params.seed} --fit {output.fit} --intercepts {output.intercepts} > {log} 2>&1"


rule fetch_chinchilla:
    input:
        [] if POINTS_ARE_REMOTE else FITS["chinchilla_points"],
    output:
        "results/fits/chinchilla_points.csv",
    log:
        "logs/fits/fetch_chinchilla.log",
    conda:
        "../envs/scaling.yaml"
    resources:
        mem_mb=500,
        network=int(POINTS_ARE_REMOTE),
    params:
        points=FITS["chinchilla_points"],
        source=source_fingerprint("fits/points"),
    shell:
        "python -m scaling.fits.points --source {params.points:q} --output {output} > {log} 2>&1"


rule fit_chinchilla:
    input:
        points="results/fits/chinchilla_points.csv",
        shapes=SHAPES,
    output:
        fit="results/tables/chinchilla_fit.csv",
        profile="results/tables/chinchilla_profile.csv",
        widths="results/tables/width_fit.csv",
    log:
        "logs/fits/chinchilla.log",
    benchmark:
        "logs/fits/chinchilla.benchmark.tsv"
    conda:
        "../envs/scaling.yaml"
    params:
        excluded=FITS["excluded_points"],
        resamples=FITS["bootstraps"],
        seed=FITS["seed"],
        source=source_fingerprint("fits/chinchilla"),
    shell:
        "python -m scaling.fits.chinchilla --points {input.points} --shapes {input.shapes:q}"
        " --excluded {params.excluded} --resamples {params.resamples} --seed {params.seed}"
        " --widths {output.widths} --fit {output.fit} --profile {output.profile} > {log} 2>&1"


rule fit_joint_law:
    input:
        points="results/fits/chinchilla_points.csv",
        shapes=SHAPES,
    output:
        "results/tables/joint_fit.csv",
    log:
        "logs/fits/joint.log",
    conda:
        "../envs/scaling.yaml"
    params:
        excluded=FITS["excluded_points"],
        resamples=FITS["bootstraps"],
        seed=FITS["seed"],
        source=source_fingerprint("fits/joint"),
    shell:
        "python -m scaling.fits.joint --points {input.points} --shapes {input.shapes:q}"
        " --excluded {params.excluded} --resamples {params.resamples} --seed {params.seed}"
        " --output {output} > {log} 2>&1"


rule suite_runs:
    input:
        sources=[
            entry["source"]
            for entry in SUITES.values()
            if not entry.get("source", "https://").startswith(("https://", "http://"))
        ],
        shapes=SHAPES,
    output:
        expand("results/fits/suites/{suite}.csv", suite=SUITES),
    log:
        "logs/fits/suite_runs.log",
    conda:
        "../envs/scaling.yaml"
    resources:
        mem_mb=500,
        network=1,
    params:
        entries=json.dumps(SUITES),
        source=source_fingerprint("fits/suites"),
    shell:
        "python -m scaling.fits.suites runs --entries {params.entries:q} --shapes {input.shapes:q} --output {output} > {log} 2>&1"


rule fit_suites:
    input:
        expand("results/fits/suites/{suite}.csv", suite=SUITES),
    output:
        suites="results/tables/width_suites.csv",
        profiles="results/tables/width_suite_profiles.csv",
    log:
        "logs/fits/suites.log",
    conda:
        "../envs/scaling.yaml"
    params:
        entries=json.dumps(SUITES),
        rules=json.dumps(FITS["suite_verdict"]),
        source=source_fingerprint("fits/suites"),
    shell:
        "python -m scaling.fits.suites fit --entries {params.entries:q} --rules {params.rules:q} --runs {input}"
        " --suites {output.suites} --profiles {output.profiles} > {log} 2>&1"


# Every table that a claim reads (the `tables` of its registration).
CLAIM_TABLES = [
    "toy_models",
    "toy_features",
    "toy_exponents",
    "toy_exponent_starts",
    "toy_part_exponents",
    "toy_one_active",
    "interventions",
    "intervention_exponents",
    "mediation",
    "mean_field",
    "llm_overlaps",
    "llm_loss_fit",
    "width_fit",
    "chinchilla_fit",
    "llm_family",
    "joint_fit",
    "width_suites",
    "token_frequencies",
    "bigram_models",
    "bigram_exponents",
    "bigram_rivals",
    "time_exponents",
    "correlation_exponents",
    "attention_k_means",
    "attention_soft_k_means",
    "attention_lloyd_network",
    "attention_flow_checks",
    "attention_phase_times",
    "attention_modes",
    "attention_metastable",
    "attention_causal_collapse",
    "attention_synchronisation",
    "attention_noise",
    "attention_corrections",
    "attention_triangles",
    "attention_hcformer_sizes",
    "attention_mixers",
    "attention_packing",
    "attention_pair_energy",
    "attention_trained_rows",
    "toy_pair_energy",
]


rule hold_claims:
    input:
        tables=[
            f"results/tables/{table}.csv"
            for table in CLAIM_TABLES
            if table != "correlation_exponents" or CORRELATION_CELLS
        ],
        published=expand(
            "{folder}/{name}.csv",
            folder=PUBLISHED,
            name=[
                "fig1b_weak_loss",
                "fig1d_strong_loss",
                "fig3a_phi_half",
                "fig4a_r_squared",
                "fig5a_loss_vs_unlearned_alpha0",
                "fig5b_model_exponent",
                "fig6c_phi_one",
                "fig6e_model_exponent",
                "fig7b_density_scaling",
                "fig8a_llm_overlap",
                "final_fig5d_mean_square_overlap",
            ],
        ),
    output:
        "results/tables/claims.csv",
    log:
        "logs/fits/claims.log",
    conda:
        "../envs/scaling.yaml"
    params:
        study=FITS["study"],
        published=lambda wildcards, input: Path(input.published[0]).parent,
        source=source_fingerprint("claims"),
    shell:
        "python -m scaling.claims --tables {input.tables} --published {params.published:q}"
        " --study {params.study:q} --output {output} > {log} 2>&1"
